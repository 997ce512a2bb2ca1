using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Replay;

/// <summary>Looks on while packets pass a pipeline, and says where one of the promises of the dataplane is broken.</summary>
/// <remarks>
/// The promises: a flow keeps its backend while that serves, and UDP leaves it afterwards; a reply never leaves untranslated;
/// nothing for a service range leaves; the client's address is kept, or is this node's; what is written can be read and
/// has right checksums; two flows never have the same answers; a later fragment goes where its flow goes; nobody is reset whose backend serves,
/// or against the policy. Knows of the maps what is in them now, of flows what the packets said.
/// One thread.
/// </remarks>
public sealed class PacketWatch(LbMaps maps)
{
    private const long AnswerMs = 500; // what docs/conntrack.md promises a backend that has left and owes an answer

    private readonly Dictionary<FlowTuple, WatchedFlow> _byOriginal = [];
    private readonly Dictionary<FlowTuple, WatchedFlow> _byReply = [];
    private long _packets;
    private long _fullAt = -1;

    /// <summary>The control plane is in the middle of writing: whether a backend serves cannot be said of this moment.</summary>
    public bool MapsInMotion { get; set; }

    /// <summary>The packet that is checked next found the flow table full: those that were never established may have made room for it.</summary>
    public void TableIsFull() => _fullAt = _packets + 1;

    /// <summary>Flows seen and not expired.</summary>
    public int CountLive(long nowMs) => _byOriginal.Values.Count(flow => nowMs < flow.ExpiresMs);

    /// <summary>The dataplane begins anew: whom it sent flows to that are over it knows only if that is still a backend.</summary>
    public void DataplaneRestarts(long nowMs)
    {
        HashSet<IpAddr> backends = [.. maps.Backends.Entries().Select(entry => entry.Value.Address)];
        foreach (WatchedFlow flow in _byReply.Values
            .Where(flow => (nowMs >= flow.ExpiresMs || flow.IsTold) && !backends.Contains(flow.Reply.Source)).ToArray())
        {
            _byReply.Remove(flow.Reply);
        }
    }

    /// <summary>All flows have been looked through for orphans, while the maps stood still.</summary>
    public void OrphansWereLookedFor()
    {
        foreach (WatchedFlow flow in _byOriginal.Values.Where(flow => flow.Original.Protocol == IpProtocol.Tcp))
        {
            flow.IsOrphan = !Serves(flow.ServicePortId, flow.BackendId);
            flow.WasOrphan |= flow.IsOrphan;
        }
    }

    /// <summary>One packet.</summary>
    /// <param name="before">As it was read.</param>
    /// <param name="after">As it was written; empty if it was dropped.</param>
    /// <param name="verdict">What became of it.</param>
    /// <param name="meta">As the pipeline left it.</param>
    /// <param name="nowMs">The time that the pipeline was told.</param>
    /// <returns>The promise that was broken; null if none was.</returns>
    public string? Check(ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, Verdict verdict, in PacketMeta meta, long nowMs)
    {
        _packets++;
        if (PacketParser.Parse(before, out FlowTuple sent, out HeaderOffsets at) != DropReason.None)
        {
            return verdict == Verdict.Drop ? null : "a packet that cannot be read was not dropped";
        }

        FlowTuple written = default;
        if (verdict != Verdict.Drop)
        {
            if (PacketParser.Parse(after, out written, out HeaderOffsets writtenAt) != DropReason.None)
            {
                return "what was written cannot be read";
            }

            if (CheckWritten(before, sent, at, after, written, writtenAt, meta) is { } problem)
            {
                return problem;
            }
        }

        if (at.IsIcmpError)
        {
            return at.IsFragment ? null : CheckError(before, sent, at, after, written, verdict, nowMs);
        }

        if (meta.Tuple.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp) || meta.DropReason == DropReason.SctpFragment)
        {
            return null;
        }

        if (at.IsLaterFragment)
        {
            return verdict == Verdict.Forward ? CheckLaterFragment(meta.Tuple, written, nowMs) : null;
        }

        // Replies first, as a lookup has them: a tuple is only one of both.
        if (_byReply.TryGetValue(sent, out WatchedFlow? flow))
        {
            return CheckReply(flow, at, written, verdict, meta, nowMs);
        }

        if (_byOriginal.TryGetValue(sent, out flow) && (nowMs < flow.ExpiresMs || flow.WasOrphan))
        {
            return CheckKnown(flow, at, written, verdict, meta, nowMs);
        }

        return verdict == Verdict.Forward ? CheckNew(sent, at, written, meta, nowMs) : null;
    }

    private string? CheckWritten(
        ReadOnlySpan<byte> before, in FlowTuple sent, in HeaderOffsets at,
        ReadOnlySpan<byte> after, in FlowTuple written, in HeaderOffsets writtenAt, in PacketMeta meta)
    {
        if ((maps.Classify(written.Destination) & NetworkFlags.ServiceRange) != NetworkFlags.None)
        {
            return $"a packet left for {written.Destination}, an address of the service range";
        }

        bool wasRight = TransportChecksum.Check(before, at, sent, meta.PartialChecksum) != ChecksumState.Invalid;
        return wasRight && TransportChecksum.Check(after, writtenAt, written, meta.PartialChecksum) == ChecksumState.Invalid
            ? "the checksum was right and is wrong now"
            : null;
    }

    /// <summary>It has the ports of its first fragment, by which its flow is known.</summary>
    private string? CheckLaterFragment(in FlowTuple sent, in FlowTuple written, long nowMs)
    {
        bool isReply = _byReply.TryGetValue(sent, out WatchedFlow? flow);
        if (!isReply && !_byOriginal.TryGetValue(sent, out flow))
        {
            return $"a part of a packet, {sent}, was translated by a flow that no packet began";
        }

        FlowTuple to = isReply ? flow!.Original.Reverse : flow!.Reply.Reverse;
        if (written.Source != to.Source || written.Destination != to.Destination)
        {
            return $"a part of a packet of {flow.Original} went from {written.Source} to {written.Destination}";
        }

        flow.Prolong(Node, nowMs);
        return null;
    }

    private string? CheckReply(WatchedFlow flow, in HeaderOffsets at, in FlowTuple written, Verdict verdict, in PacketMeta meta, long nowMs)
    {
        if (meta.DropReason == DropReason.BackendGone)
        {
            return CheckGone(flow, written, verdict, nowMs);
        }

        if (nowMs >= flow.ExpiresMs || flow.IsTold)
        {
            // Its flow is gone, which the client need not know: with the backend's address the client would reset its connection.
            return verdict == Verdict.Pass && !at.IsOpening ? $"the late reply of {flow.Reply.Source} left untranslated" : null;
        }

        if (verdict != Verdict.Forward)
        {
            return MayHaveGone(flow) ? Forget(flow) : $"a reply of the live flow {flow.Original} met {verdict}";
        }

        if (written != flow.Original.Reverse)
        {
            return $"a reply of {flow.Original} was translated to {written}";
        }

        flow.See(isReply: true, at.TcpFlags, Node, _packets, nowMs);
        return null;
    }

    private string? CheckKnown(WatchedFlow flow, in HeaderOffsets at, in FlowTuple written, Verdict verdict, in PacketMeta meta, long nowMs)
    {
        if (meta.DropReason == DropReason.BackendGone)
        {
            return CheckGone(flow, written, verdict, nowMs);
        }

        bool serves = Serves(flow.ServicePortId, flow.BackendId);
        if (verdict == Verdict.Forward && written == flow.Reply.Reverse && !meta.NewFlow)
        {
            if (at.Protocol == IpProtocol.Udp && !serves && !MapsInMotion)
            {
                return $"{flow.Original} stayed with {written.Destination}, which no longer serves";
            }

            if (flow.IsEnded)
            {
                return $"{flow.Original} went on although its client was reset";
            }

            flow.See(isReply: false, at.TcpFlags, Node, _packets, nowMs);
            return null;
        }

        bool mayLeave = flow.IsTold || MayHaveGone(flow) || (at.Protocol == IpProtocol.Tcp
            ? at.IsOpening && (flow.IsClosing || ((!flow.IsAnswered || flow.IsHalfClosed) && (!serves || MapsInMotion)))
            : !serves || MapsInMotion);
        bool mayBeRefused = mayLeave || !serves || MapsInMotion;
        if (!(verdict == Verdict.Forward ? mayLeave : mayBeRefused))
        {
            return verdict == Verdict.Forward
                ? $"{flow.Original} went to {written} and left {flow.Reply.Source}, which serves"
                : $"{flow.Original}, a live flow whose backend serves, met {verdict} {meta.DropReason}";
        }

        Forget(flow);
        return verdict == Verdict.Forward ? CheckNew(flow.Original, at, written, meta, nowMs) : null;
    }

    /// <summary>Client and backend are told that the connection is over.</summary>
    private string? CheckGone(WatchedFlow flow, in FlowTuple written, Verdict verdict, long nowMs)
    {
        if (!flow.IsOrphan && !flow.IsClosing)
        {
            return $"{flow.Original} was reset although {flow.Reply.Source} serves";
        }

        if (flow.Policy == BackendGonePolicy.Keep)
        {
            return $"{flow.Original} was reset against its policy";
        }

        if (flow.Policy == BackendGonePolicy.Drain && !flow.IsClosing && nowMs - flow.AnsweredAtMs < AnswerMs)
        {
            return $"{flow.Original} was reset {nowMs - flow.AnsweredAtMs} ms after {flow.Reply.Source} answered";
        }

        if (verdict == Verdict.Reject && written != flow.Original.Reverse && written != flow.Reply.Reverse)
        {
            return $"an end of {flow.Original} was told as {written}";
        }

        flow.End(Node, nowMs);
        return null;
    }

    private string? CheckNew(in FlowTuple sent, in HeaderOffsets at, in FlowTuple written, in PacketMeta meta, long nowMs)
    {
        if (!meta.NewFlow)
        {
            return $"{sent} was translated by a flow that no packet began";
        }

        NodeEntry node = Node;
        IpAddr primary = sent.IsIpv4 ? node.PrimaryIpv4 : node.PrimaryIpv6;
        if (written.Source != sent.Source && written.Source != primary)
        {
            return $"the client {sent.Source} became {written.Source}, which is not this node";
        }

        if (!MapsInMotion && !Serves(meta.ServicePortId, meta.BackendId))
        {
            return $"{sent} was sent to {written.Destination}, which does not serve";
        }

        FlowTuple reply = written.Reverse;
        if (_byReply.TryGetValue(reply, out WatchedFlow? other) && nowMs < other.ExpiresMs && !other.IsClosing && !other.IsTold
            && other.Original != sent && !MayHaveGone(other))
        {
            return $"{sent} and {other.Original} have the same answers, {reply}";
        }

        if (_byOriginal.TryGetValue(sent, out WatchedFlow? expired))
        {
            Forget(expired);
        }

        if (other is not null)
        {
            Forget(other);
        }

        var flow = new WatchedFlow(sent, reply, meta.ServicePortId, meta.BackendId, MapsInMotion ? null : PolicyOf(meta.RevNatId));
        flow.See(isReply: false, at.TcpFlags, node, _packets, nowMs);
        _byOriginal[sent] = flow;
        _byReply[reply] = flow;
        return null;
    }

    private string? CheckError(
        ReadOnlySpan<byte> before, in FlowTuple outer, in HeaderOffsets at,
        ReadOnlySpan<byte> after, in FlowTuple written, Verdict verdict, long nowMs)
    {
        if (PacketParser.ParseEmbedded(before, at, outer, out FlowTuple quoted, out HeaderOffsets quotedAt) != DropReason.None || quotedAt.IsFragment)
        {
            return null;
        }

        bool isOfBackend = _byReply.TryGetValue(quoted.Reverse, out WatchedFlow? flow);
        if ((!isOfBackend && !_byOriginal.TryGetValue(quoted.Reverse, out flow)) || nowMs >= flow!.ExpiresMs || flow.IsTold)
        {
            return null;
        }

        if (verdict != Verdict.Forward)
        {
            return MayHaveGone(flow) ? null : $"an error about the live flow {flow.Original} met {verdict}";
        }

        FlowTuple sent = isOfBackend ? flow.Original : flow.Reply; // what the receiver of the error believes to have sent
        if (PacketParser.Parse(after, out _, out HeaderOffsets writtenAt) != DropReason.None
            || PacketParser.ParseEmbedded(after, writtenAt, written, out FlowTuple told, out _) != DropReason.None
            || told != sent || written.Destination != sent.Source)
        {
            return $"an error about {flow.Original} does not tell {sent.Source} of what it sent";
        }

        flow.IsTold |= isOfBackend && sent.Protocol == IpProtocol.Udp && outer.Source == quoted.Destination
            && IcmpHeader.Parse(before[at.TransportOffset..], at.IsIpv4, out IcmpHeader icmp) == DropReason.None && icmp.IsPortUnreachable;
        return null;
    }

    private NodeEntry Node => maps.Node.TryLookup(0, out NodeEntry node) ? node : NodeEntry.Default;

    private bool Serves(uint servicePortId, uint backendId) => maps.Serving.TryLookup(new ServingKey(servicePortId, backendId), out _);

    private BackendGonePolicy? PolicyOf(uint frontendId) =>
        maps.ReverseNat.TryLookup(frontendId, out ReverseNatEntry entry)
        && maps.Services.TryLookup(new ServiceKey(entry.Address, entry.Port, entry.Protocol, LookupScope.External, 0), out ServiceEntry head)
            ? BackendGonePolicies.Of(head.Flags)
            : null;

    private bool MayHaveGone(WatchedFlow flow) => flow.WasOrphan || (flow.SeenAt < _fullAt && (!flow.IsEstablished || flow.IsClosing));

    private string? Forget(WatchedFlow flow)
    {
        _byOriginal.Remove(flow.Original);
        if (_byReply.TryGetValue(flow.Reply, out WatchedFlow? known) && known == flow)
        {
            _byReply.Remove(flow.Reply);
        }

        return null;
    }
}
