using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>START READING HERE: what happens to a packet. <see cref="Decide"/> has one line per step.</summary>
/// <remarks>One object per worker; not thread-safe. Maps and flow tables are shared by all workers. Time, randomness and
/// packets are inputs: the same object runs in the daemon, in tests, in replay and in <c>explain</c>.</remarks>
[SkipLocalsInit]
public sealed partial class PacketPipeline
{
    private readonly LbMaps _maps;
    private readonly FlowTables _flows;
    private readonly PipelineCounters _counters;
    private readonly BackendSelector _selector;
    private readonly SnatPortAllocator _ports;
    private readonly BackendArrivals? _arrivals;
    private readonly RejectLimiter _rejects = new();
    private NodeEntry _node;
    private FlowTimeouts _timeouts;
    private long _nodeReadAtMs = long.MinValue;

    /// <summary>A pipeline for one worker.</summary>
    /// <param name="maps">What the control plane wants.</param>
    /// <param name="flows">What is remembered.</param>
    /// <param name="counters">This worker's.</param>
    /// <param name="random">This worker's.</param>
    /// <param name="arrivals">Told of every new flow; null if nobody awaits any.</param>
    public PacketPipeline(LbMaps maps, FlowTables flows, PipelineCounters counters, RandomSource random, BackendArrivals? arrivals = null)
    {
        _arrivals = arrivals;
        _maps = maps;
        _flows = flows;
        _counters = counters;
        _selector = new BackendSelector(maps, flows, random);
        _ports = new SnatPortAllocator(flows, random);
    }

    /// <summary>Decides what becomes of a packet, changes it accordingly, and counts it. Never throws, allocates nothing.</summary>
    /// <param name="buffer">The packet, with room for an answer behind it: 1280 bytes in all, or 128 more than the packet.</param>
    /// <param name="meta">In: length, queue, checksum mode. Out: everything else, and these three anew.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds, read once per batch; never decreases.</param>
    public Verdict Process(Span<byte> buffer, ref PacketMeta meta, long nowMs)
    {
        int lengthBytes = meta.Length;
        Verdict verdict = Decide(buffer, ref meta, nowMs);
        _counters.CountVerdict(verdict, meta.IsReply, lengthBytes);
        if (meta.DropReason != DropReason.None)
        {
            _counters.CountReason(meta.DropReason, meta.IsReply);
        }

        return verdict;
    }

    /// <summary>Tells which packet comes after the one that is processed next. What it needs of the flow tables, which are larger than
    /// the caches, comes meanwhile (measured: 130 ns less for a new flow). Changes nothing.</summary>
    /// <param name="packet">From the first byte of the IP header.</param>
    public void Anticipate(ReadOnlySpan<byte> packet) => _flows.Anticipate(packet);

    private Verdict Decide(Span<byte> buffer, ref PacketMeta meta, long nowMs)
    {
        Reset(ref meta);
        ReadNode(nowMs);
        Span<byte> packet = buffer[..meta.Length];
        DropReason problem = PacketParser.Parse(packet, out meta.Tuple, out HeaderOffsets at);
        if (problem != DropReason.None)
        {
            return Drop(ref meta, problem);
        }

        meta.PartialChecksum &= meta.ChecksumStart == at.TransportOffset;
        if (at.IsIcmpError)
        {
            // An error is no longer than 576 or 1280 bytes (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4): only forged ones come in parts.
            return at.IsFragment ? Drop(ref meta, DropReason.IcmpFragment) : TranslateError(packet, at, ref meta, nowMs);
        }

        return at.IsFragment ? DecideFragment(buffer, at, ref meta, nowMs) : DecideWhole(buffer, at, ref meta, nowMs);
    }

    /// <summary>A packet with a transport header: all but ICMP errors and later fragments.</summary>
    private Verdict DecideWhole(Span<byte> buffer, in HeaderOffsets at, ref PacketMeta meta, long nowMs)
    {
        if (at.IsOpening)
        {
            _flows.Expect(meta.Tuple); // it will hardly be found: the cache lines that a new flow needs come together
        }

        if (_flows.TryLookup(meta.Tuple, nowMs, out FlowHit flow) && MayGoOn(flow, at, ref meta))
        {
            return flow.IsOrphan
                ? ForwardOrphan(buffer, at, flow, ref meta, nowMs)
                : Forward(buffer[..meta.Length], at, flow, ref meta, nowMs);
        }

        return BeginFlow(buffer, at, ref meta, nowMs);
    }

    /// <summary>A packet of a known flow: state machine, timeout, counters, rewrite.</summary>
    private Verdict Forward(Span<byte> packet, in HeaderOffsets at, in FlowHit flow, ref PacketMeta meta, long nowMs)
    {
        FlowState next = at.IsLaterFragment ? flow.State : flow.StateAfter(at.Protocol, at.TcpFlags); // it shows no control bits
        _flows.Record(flow, next, nowMs + _timeouts.Of(at.Protocol, next), at.TotalLength);
        return Translate(packet, at, flow, ref meta);
    }

    /// <summary>The last step of every packet of a flow.</summary>
    private static Verdict Translate(Span<byte> packet, in HeaderOffsets at, in FlowHit flow, ref PacketMeta meta)
    {
        AddressRewriter.Rewrite(packet, at, meta.Tuple, flow.Translated, meta.PartialChecksum);
        Tell(flow, ref meta);
        meta.Translated = flow.Translated;
        return Verdict.Forward;
    }

    /// <summary>False if this packet must begin a new flow in place of the one it was found by.</summary>
    private bool MayGoOn(in FlowHit flow, in HeaderOffsets at, ref PacketMeta meta)
    {
        if (flow.IsReply)
        {
            return true; // whatever has become of its backend, an answer is translated
        }

        switch (at.Protocol)
        {
            // The client uses its port anew: a new connection, which may go elsewhere (RFC 9293, section 3.10.7.4, TIME-WAIT).
            case IpProtocol.Tcp when at.IsOpening && flow.IsClosing:
                _flows.Remove(flow);
                return false;

            // Nobody has answered, or one side has finished, and the other never will: the client tries again, or begins another
            // connection from the same port. One that stands is not given up for a SYN, which may be old or forged.
            case IpProtocol.Tcp when at.IsOpening && (!flow.IsAnswered || flow.IsHalfClosed) && !StillServes(flow):
                _flows.Remove(flow);
                meta.Queue = flow.Queue;
                return false;

            case IpProtocol.Udp when !StillServes(flow):
                _flows.Remove(flow);
                _counters.CountRepickedFlow(meta.Tuple.IsIpv4);
                meta.Queue = flow.Queue; // the kernel has learned it from the datagrams before
                return false;

            default:
                return true;
        }
    }

    /// <summary>
    /// A UDP flow has no end of its own: it must leave a backend that no longer serves with the next datagram; a TCP connection that
    /// was never answered or is half closed, with the next SYN.
    /// </summary>
    private bool StillServes(in FlowHit flow)
    {
        // Revision before serving: a backend that goes after the second look raises the revision after the first, so that the
        // next datagram finds it different from what is remembered here.
        _maps.ServicePorts.TryLookup(flow.ServicePortId, out ServicePortEntry port);
        if (port.Revision == flow.Revision)
        {
            return true;
        }

        if (!_maps.Serving.TryLookup(new ServingKey(flow.ServicePortId, flow.BackendId), out _))
        {
            return false;
        }

        _flows.SetRevision(flow, port.Revision);
        return true;
    }

    /// <summary>An ICMP error is about a packet that we translated: what it quotes must look as its receiver sent it.</summary>
    private Verdict TranslateError(Span<byte> packet, in HeaderOffsets at, ref PacketMeta meta, long nowMs)
    {
        DropReason problem = PacketParser.ParseEmbedded(
            packet, at, meta.Tuple, out FlowTuple embedded, out HeaderOffsets embeddedAt);
        if (problem != DropReason.None)
        {
            return Drop(ref meta, problem);
        }

        // The quoted packet was sent by us, so an answer to it would be found in the flow table, and translated for whoever
        // sent the original: the error goes the same way.
        if (!_flows.TryLookup(embedded.Reverse, nowMs, out FlowHit flow))
        {
            return (_maps.Classify(meta.Tuple.Destination) & NetworkFlags.ServiceRange) != NetworkFlags.None
                ? Drop(ref meta, DropReason.IcmpWithoutFlow)
                : Verdict.Pass;
        }

        FlowTuple original = flow.Translated.Reverse;
        if (flow.IsReply && embedded.Protocol == IpProtocol.Udp && IsFromClosedPort(packet, at, meta.Tuple, embedded))
        {
            _flows.Remove(flow); // the client is told, and its next datagram finds a backend anew
        }

        _counters.CountTranslatedError();
        meta.Translated = IcmpErrorNat.Rewrite(packet, at, meta.Tuple, embeddedAt, embedded, original, meta.PartialChecksum);
        Tell(flow, ref meta);
        return Verdict.Forward;
    }

    /// <summary>
    /// The backend itself says that nobody listens there: its program has ended, and the API server does not know yet. What
    /// routers say is no reason to leave a backend: it may be forged from afar, and passes.
    /// </summary>
    private static bool IsFromClosedPort(ReadOnlySpan<byte> packet, in HeaderOffsets at, in FlowTuple outer, in FlowTuple embedded) =>
        outer.Source == embedded.Destination
        && IcmpHeader.Parse(packet[at.TransportOffset..], at.IsIpv4, out IcmpHeader icmp) == DropReason.None
        && icmp.IsPortUnreachable;

    /// <summary>Once per batch: a change of the node's configuration may wait a millisecond.</summary>
    private void ReadNode(long nowMs)
    {
        if (nowMs != _nodeReadAtMs)
        {
            _node = _maps.Node.TryLookup(0, out NodeEntry node) ? node : NodeEntry.Default;
            _timeouts = new FlowTimeouts(_node);
            _ports.Ranges = _node.SnatPorts.OrDefault;
            _flows.UseTimeouts(_timeouts);
            _nodeReadAtMs = nowMs;
        }
    }

    private static void Tell(in FlowHit flow, ref PacketMeta meta)
    {
        meta.Queue = flow.Queue;
        meta.RevNatId = flow.RevNatId;
        meta.ServicePortId = flow.ServicePortId;
        meta.BackendId = flow.BackendId;
        meta.IsReply = flow.IsReply;
        meta.Masqueraded = (flow.Flags & FlowFlags.Masqueraded) != FlowFlags.None;
    }

    private static void Reset(ref PacketMeta meta)
    {
        meta.DropReason = DropReason.None;
        meta.Translated = default;
        meta.RevNatId = 0;
        meta.ServicePortId = 0;
        meta.BackendId = 0;
        meta.NewFlow = false;
        meta.IsReply = false;
        meta.Masqueraded = false;
    }

    private static Verdict Drop(ref PacketMeta meta, DropReason reason)
    {
        meta.DropReason = reason;
        return Verdict.Drop;
    }
}
