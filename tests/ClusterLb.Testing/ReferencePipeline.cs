using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Testing;

/// <summary>What the pipeline must do, the slow and obvious way: flows in a dictionary, packets taken apart and put together anew.</summary>
/// <remarks>Shares with the pipeline the maps, the words for addresses and tuples, and the numbers of a random source; none of its
/// code. Knows whole packets (no fragments) with full checksums.</remarks>
public sealed class ReferencePipeline(LbMaps maps, RandomSource random)
{
    private readonly Dictionary<FlowTuple, Flow> _flows = [];
    private readonly HashSet<(IpAddr, ushort, IpProtocol)> _backends = [];
    private (long Tokens, long AtMs) _answers = (256, long.MinValue);

    /// <summary>What comes out.</summary>
    public sealed record Result(Verdict Verdict, DropReason Reason, byte[] Packet, int Queue);

    /// <summary>One packet.</summary>
    public Result Process(byte[] packet, int queue, long nowMs)
    {
        int transport = ReferenceRewriter.TransportOffset(packet, out byte protocolNumber);
        FlowTuple tuple = TupleOf(packet);
        if (IsIcmpError(packet, transport, protocolNumber))
        {
            return TranslateError(packet, transport, queue, nowMs);
        }

        bool isTcp = tuple.Protocol == IpProtocol.Tcp;
        TcpFlags flags = isTcp ? (TcpFlags)packet[transport + 13] : TcpFlags.None;
        bool begins = isTcp && flags.HasFlag(TcpFlags.Syn) && !flags.HasFlag(TcpFlags.Ack)
            && !flags.HasFlag(TcpFlags.Rst) && !flags.HasFlag(TcpFlags.Fin);
        if (Find(tuple, nowMs) is { } known)
        {
            bool isReply = tuple == known.Reply;
            if (!isReply && begins && known.IsClosing)
            {
                Forget(known);
            }
            else if (!isReply && (tuple.Protocol == IpProtocol.Udp || (begins && (!known.IsAnswered || known.IsHalfClosed))) && !Serves(known))
            {
                Forget(known);
                queue = known.Queue;
            }
            else
            {
                return Forward(packet, known, isReply, flags, nowMs);
            }
        }

        NodeEntry node = maps.Node.TryLookup(0, out NodeEntry entry) ? entry : NodeEntry.Default;
        var key = new ServiceKey(tuple.Destination, tuple.DestinationPort, tuple.Protocol, LookupScope.External, 0);
        bool isFrontend = maps.Services.TryLookup(key, out ServiceEntry frontend);
        bool isNodePortAddress = maps.Classify(tuple.Destination).HasFlag(NetworkFlags.NodePortAddress)
            || (tuple.Destination.ToString().StartsWith("127.", StringComparison.Ordinal) && node.Flags.HasFlag(NodeFlags.LocalhostNodePorts));
        if (!isFrontend && isNodePortAddress)
        {
            key = key with { Address = IpAddr.Parse(tuple.IsIpv4 ? "0.0.0.0" : "::") };
            isFrontend = maps.Services.TryLookup(key, out frontend);
        }

        if (!isFrontend)
        {
            return WithoutFrontend(packet, tuple, begins, node, queue, nowMs);
        }

        if (frontend.Flags.HasFlag(ServiceFlags.SourceRange) && !maps.IsSourceAllowed(frontend.ServicePortId, tuple.Source))
        {
            return Drop(DropReason.NotInSourceRange, queue);
        }

        if (isTcp && !begins)
        {
            return Refuse(packet, tuple, DropReason.NotASyn, queue, nowMs);
        }

        bool isPod = maps.Classify(tuple.Source).HasFlag(NetworkFlags.PodRange);
        bool isNode = maps.Classify(tuple.Source).HasFlag(NetworkFlags.NodeAddress);
        if (frontend.Flags.HasFlag(ServiceFlags.TwoScopes) && (isPod || isNode))
        {
            key = key with { Scope = LookupScope.Internal };
            maps.Services.TryLookup(key, out frontend);
        }

        if (frontend.Count == 0)
        {
            return frontend.Flags.HasFlag(ServiceFlags.EndpointsExist)
                ? Drop(DropReason.NoLocalBackend, queue)
                : Refuse(packet, tuple, DropReason.NoBackend, queue, nowMs);
        }

        maps.Services.TryLookup(key with { Slot = 1 + random.Next(frontend.Count) }, out ServiceEntry slot);
        maps.Backends.TryLookup(slot.BackendId, out BackendEntry backend);
        maps.ServicePorts.TryLookup(frontend.ServicePortId, out ServicePortEntry port);
        bool isExternal = (frontend.Flags & (ServiceFlags.NodePort | ServiceFlags.LoadBalancer | ServiceFlags.ExternalIp)) != ServiceFlags.None;
        bool isLocal = frontend.Flags.HasFlag(ServiceFlags.ExternalLocalScope);
        bool masquerade = backend.Address == tuple.Source || (isExternal ? !isLocal || (isNode && !isPod) : !isPod);
        IpAddr source = masquerade ? tuple.IsIpv4 ? node.PrimaryIpv4 : node.PrimaryIpv6 : tuple.Source;

        bool keepsPort = source == tuple.Source || tuple.SourcePort >= 61_000 || tuple.SourcePort is >= 1_024 and < 30_000;
        for (int attempt = keepsPort ? -1 : 0; attempt < 16; attempt++)
        {
            ushort sourcePort = attempt < 0 ? tuple.SourcePort
                : (ushort)(61_000 + random.Next(4_536));
            var reply = new FlowTuple(backend.Address, source, backend.Port, sourcePort, tuple.Protocol);
            Flow? holder = Find(reply, nowMs);
            if (holder is { IsClosing: true })
            {
                Forget(holder); // its answers are as good as said
                holder = null;
            }

            if (holder is null)
            {
                var flow = new Flow(tuple, reply, queue, frontend.ServicePortId, slot.BackendId) { Revision = port.Revision };
                _flows[tuple] = flow;
                _flows[reply] = flow;
                _backends.Add((backend.Address, backend.Port, tuple.Protocol));
                return Forward(packet, flow, isReply: false, flags, nowMs);
            }
        }

        return Drop(DropReason.SnatPortsExhausted, queue);
    }

    /// <summary>The tuple of a packet; for ICMP without ports.</summary>
    public static FlowTuple TupleOf(ReadOnlySpan<byte> packet)
    {
        bool isIpv4 = packet[0] >> 4 == 4;
        int transport = ReferenceRewriter.TransportOffset(packet, out byte protocol);
        bool hasPorts = protocol is 6 or 17 or 132;
        return new FlowTuple(
            isIpv4 ? IpAddr.ReadIpv4(packet[12..]) : IpAddr.ReadIpv6(packet[8..]),
            isIpv4 ? IpAddr.ReadIpv4(packet[16..]) : IpAddr.ReadIpv6(packet[24..]),
            hasPorts ? BinaryPrimitives.ReadUInt16BigEndian(packet[transport..]) : (ushort)0,
            hasPorts ? BinaryPrimitives.ReadUInt16BigEndian(packet[(transport + 2)..]) : (ushort)0,
            (IpProtocol)protocol);
    }

    private static bool IsIcmpError(byte[] packet, int transport, byte protocol) =>
        (protocol == 1 && packet[transport] is 3 or 11 or 12) || (protocol == 58 && packet[transport] is 1 or 2 or 3 or 4);

    private static Result Drop(DropReason reason, int queue) => new(Verdict.Drop, reason, [], queue);

    private Flow? Find(FlowTuple tuple, long nowMs)
    {
        if (_flows.TryGetValue(tuple, out Flow? flow) && flow.ExpiresMs <= nowMs)
        {
            Forget(flow);
            return null;
        }

        return flow;
    }

    private void Forget(Flow flow)
    {
        _flows.Remove(flow.Original);
        _flows.Remove(flow.Reply);
    }

    private bool Serves(Flow flow)
    {
        maps.ServicePorts.TryLookup(flow.ServicePortId, out ServicePortEntry port);
        if (port.Revision != flow.Revision && !maps.Serving.TryLookup(new ServingKey(flow.ServicePortId, flow.BackendId), out _))
        {
            return false;
        }

        flow.Revision = port.Revision;
        return true;
    }

    private Result Forward(byte[] packet, Flow flow, bool isReply, TcpFlags flags, long nowMs)
    {
        NodeEntry node = maps.Node.TryLookup(0, out NodeEntry entry) ? entry : NodeEntry.Default;
        flow.See(isReply, flags);
        flow.ExpiresMs = nowMs + (1000L * flow.TimeoutSeconds(node));
        FlowTuple to = isReply ? flow.Original.Reverse : flow.Reply.Reverse;
        return new Result(Verdict.Forward, DropReason.None, ReferenceRewriter.Rewrite(packet, to), flow.Queue);
    }

    private Result WithoutFrontend(byte[] packet, FlowTuple tuple, bool begins, NodeEntry node, int queue, long nowMs)
    {
        if (maps.Classify(tuple.Destination).HasFlag(NetworkFlags.ServiceRange))
        {
            if (!node.Flags.HasFlag(NodeFlags.Synced))
            {
                return Drop(DropReason.NotSynced, queue);
            }

            return maps.Services.TryLookup(new ServiceKey(tuple.Destination, 0, IpProtocol.Any, LookupScope.External, 0), out _)
                ? Refuse(packet, tuple, DropReason.UnknownServicePort, queue, nowMs)
                : Drop(DropReason.UnknownServiceAddress, queue);
        }

        return !begins && _backends.Contains((tuple.Source, tuple.SourcePort, tuple.Protocol))
            ? Drop(DropReason.UntranslatableReply, queue)
            : new Result(Verdict.Pass, DropReason.None, packet, queue);
    }

    private Result Refuse(byte[] packet, FlowTuple tuple, DropReason reason, int queue, long nowMs)
    {
        if (tuple.Protocol != IpProtocol.Tcp)
        {
            long gained = _answers.AtMs == long.MinValue ? 0 : nowMs - _answers.AtMs;
            _answers = (Math.Min(256, _answers.Tokens + gained), nowMs);
            if (_answers.Tokens == 0)
            {
                return Drop(DropReason.RejectRateLimited, queue);
            }

            _answers.Tokens--;
            byte[] unreachable = Packet.PortUnreachable(
                tuple.Destination.ToString(), tuple.Source.ToString(), packet, tuple.IsIpv4 ? 548 : 1232).Id(0);
            return new Result(Verdict.Reject, reason, unreachable, queue);
        }

        int offset = ReferenceRewriter.TransportOffset(packet, out _);
        ReadOnlySpan<byte> segment = packet.AsSpan(offset);
        var flags = (TcpFlags)segment[13];
        if (flags.HasFlag(TcpFlags.Rst))
        {
            return Drop(reason, queue);
        }

        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]);
        uint acknowledgement = BinaryPrimitives.ReadUInt32BigEndian(segment[8..]);
        int length = segment.Length - ((segment[12] >> 4) * 4)
            + (flags.HasFlag(TcpFlags.Syn) ? 1 : 0) + (flags.HasFlag(TcpFlags.Fin) ? 1 : 0);
        PacketBuilder builder = Packet.Of(tuple.Reverse).Id(0);
        byte[] reset = flags.HasFlag(TcpFlags.Ack)
            ? builder.Flags(TcpFlags.Rst).Numbers(acknowledgement, 0)
            : builder.Flags(TcpFlags.Rst | TcpFlags.Ack).Numbers(0, sequence + (uint)length);
        reset.AsSpan(ReferenceRewriter.TransportOffset(reset, out _) + 14, 2).Clear(); // window
        ReferenceRewriter.CompleteChecksums(reset);
        return new Result(Verdict.Reject, reason, reset, queue);
    }

    private Result TranslateError(byte[] packet, int transport, int queue, long nowMs)
    {
        FlowTuple outer = TupleOf(packet);
        byte[] quoted = packet[(transport + 8)..];
        FlowTuple embedded = TupleOf(quoted);
        if (Find(embedded.Reverse, nowMs) is not { } flow)
        {
            return maps.Classify(outer.Destination).HasFlag(NetworkFlags.ServiceRange)
                ? Drop(DropReason.IcmpWithoutFlow, queue)
                : new Result(Verdict.Pass, DropReason.None, packet, queue);
        }

        // What was sent on as `embedded` was read as this.
        FlowTuple sent = embedded.Reverse == flow.Reply ? flow.Original : flow.Reply;
        int hops = quoted[0] >> 4 == 4 ? 8 : 7;
        byte[] restored = ReferenceRewriter.Rewrite(quoted, sent);
        restored[hops] = quoted[hops];
        ReferenceRewriter.CompleteChecksums(restored);
        if (sent.Protocol == IpProtocol.Sctp)
        {
            // A quote may lack bytes that a CRC32c covers, so it stays as it was (steering, section 3, row 12).
            int checksum = ReferenceRewriter.TransportOffset(quoted, out _) + 8;
            quoted.AsSpan(checksum, 4).CopyTo(restored.AsSpan(checksum));
        }

        bool isPortUnreachable = outer.IsIpv4
            ? packet[transport] == 3 && packet[transport + 1] == 3
            : packet[transport] == 1 && packet[transport + 1] == 4;
        if (isPortUnreachable && sent == flow.Original && sent.Protocol == IpProtocol.Udp && outer.Source == embedded.Destination)
        {
            Forget(flow);
        }

        byte[] translated = [.. packet[..(transport + 8)], .. restored];
        IpAddr complainer = outer.Source == embedded.Destination ? sent.Destination : outer.Source;
        return new Result(
            Verdict.Forward,
            DropReason.None,
            ReferenceRewriter.Rewrite(translated, outer with { Source = complainer, Destination = sent.Source }),
            flow.Queue);
    }

    private sealed record Flow(FlowTuple Original, FlowTuple Reply, int Queue, uint ServicePortId, uint BackendId)
    {
        private bool _answered;
        private bool _established;
        private bool _clientFinished;
        private bool _backendFinished;
        private bool _reset;

        public long ExpiresMs { get; set; }

        public ulong Revision { get; set; }

        public bool IsAnswered => _answered;

        public bool IsHalfClosed => _clientFinished || _backendFinished;

        public bool IsClosing => _reset || (_clientFinished && _backendFinished);

        public void See(bool isReply, TcpFlags flags)
        {
            if (Original.Protocol == IpProtocol.Tcp)
            {
                _established |= !isReply && _answered && !flags.HasFlag(TcpFlags.Syn);
                _clientFinished |= !isReply && flags.HasFlag(TcpFlags.Fin);
                _backendFinished |= isReply && flags.HasFlag(TcpFlags.Fin);
                _reset |= flags.HasFlag(TcpFlags.Rst);
            }

            _answered |= isReply;
        }

        public long TimeoutSeconds(NodeEntry node)
        {
            if (Original.Protocol == IpProtocol.Udp)
            {
                return _answered ? node.UdpStreamTimeoutSeconds : node.UdpTimeoutSeconds;
            }

            if (Original.Protocol != IpProtocol.Tcp)
            {
                return node.GenericTimeoutSeconds;
            }

            if (IsClosing)
            {
                return node.TcpClosingTimeoutSeconds;
            }

            return !_established ? node.TcpSynTimeoutSeconds
                : _clientFinished || _backendFinished ? Math.Min(3600, node.TcpEstablishedTimeoutSeconds)
                : node.TcpEstablishedTimeoutSeconds;
        }
    }
}
