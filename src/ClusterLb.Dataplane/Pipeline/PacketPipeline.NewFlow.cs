using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <content>A packet that no flow knows: find its frontend, choose a backend, remember the flow.</content>
public sealed partial class PacketPipeline
{
    // A flow that another worker has created, and that is gone when we look, twice in one packet's time: it does not happen by chance.
    private const int MostCreations = 3;

    private Verdict BeginFlow(Span<byte> buffer, in HeaderOffsets at, ref PacketMeta meta, long nowMs)
    {
        if (!Frontend.TryFind(_maps, meta.Tuple, _node.Flags, out Frontend frontend, out NetworkFlags destination))
        {
            return NoFrontend(buffer, at, destination, ref meta, nowMs);
        }

        meta.RevNatId = frontend.Entry.RevNatId;
        meta.ServicePortId = frontend.Entry.ServicePortId;
        if (frontend.IsFiltered && !_maps.IsSourceAllowed(frontend.Entry.ServicePortId, meta.Tuple.Source))
        {
            return Drop(ref meta, DropReason.NotInSourceRange); // before anything that could be answered (semantics R21, R25, R28)
        }

        if (at.Protocol == IpProtocol.Tcp && !at.IsOpening && !MayBePickedUp(frontend, at))
        {
            return RefuseMidStream(buffer, at, ref meta, nowMs);
        }

        // Before the choice: a backend that stops serving after it raises the revision, and the next datagram notices.
        _maps.ServicePorts.TryLookup(frontend.Entry.ServicePortId, out ServicePortEntry port);
        DropReason problem = _selector.Select(
            frontend, meta.Tuple, nowMs, out ServiceEntry head, out meta.Selection, out uint backendId, out BackendEntry backend);
        if (problem == DropReason.NoBackend)
        {
            // Count and flag of one and the same reading of slot 0 (semantics R15, R16).
            return (head.Flags & ServiceFlags.EndpointsExist) != ServiceFlags.None
                ? Drop(ref meta, DropReason.NoLocalBackend)
                : Reject(buffer, at, DropReason.NoBackend, ref meta, nowMs);
        }

        if (problem != DropReason.None)
        {
            return Drop(ref meta, problem);
        }

        var reply = new FlowTuple(
            backend.Address, meta.Tuple.Source, backend.Port, meta.Tuple.SourcePort, meta.Tuple.Protocol);
        _flows.Expect(reply); // its memory comes while the sender is looked up
        Sender sender = Sender.Of(_maps, meta.Tuple.Source, _node.Flags);
        if (sender.IsForged)
        {
            return Drop(ref meta, DropReason.NotRoutable); // the backend's answer would leave by the default route
        }

        bool masquerade = Masquerade.IsNeeded(frontend, sender, _node.Flags, meta.Tuple.Source, backend.Address)
            || (sender.IsBridged && (_maps.Classify(backend.Address) & NetworkFlags.BridgedPods) != NetworkFlags.None);
        var flow = new NewFlow
        {
            Original = meta.Tuple,
            Reply = reply,
            Flags = FlagsOf(head, masquerade),
            Queue = meta.Queue,
            BackendId = backendId,
            RevNatId = frontend.Entry.RevNatId,
            ServicePortId = frontend.Entry.ServicePortId,
            Revision = port.Revision,
            LengthBytes = at.TotalLength,
            ExpiresMs = nowMs + _timeouts.Of(at.Protocol, FlowState.None),
        };
        problem = Create(flow, nowMs, out FlowHit created);
        if (problem != DropReason.None)
        {
            return Drop(ref meta, problem);
        }

        Span<byte> packet = buffer[..meta.Length];
        if (!created.IsNew)
        {
            return Forward(packet, at, created, ref meta, nowMs); // another worker was first
        }

        meta.NewFlow = true;
        _counters.CountNewFlow();
        _arrivals?.Note(created.ServicePortId, created.BackendId);
        return Translate(packet, at, created, ref meta);
    }

    /// <summary>A connection that we have forgotten, where its backend follows from the packet alone, on every node: it goes on.</summary>
    private static bool MayBePickedUp(in Frontend frontend, in HeaderOffsets at) =>
        frontend.Entry.Algorithm.IsHash() && (at.TcpFlags & (TcpFlags.Syn | TcpFlags.Rst)) == TcpFlags.None;

    /// <summary>A connection that we have forgotten, or never knew. Any backend would refuse it, at best: say so at once, so that the client
    /// connects anew instead of waiting for its own timeout; unless another node may know it, and the packet only came to the wrong one.</summary>
    private Verdict RefuseMidStream(Span<byte> buffer, in HeaderOffsets at, ref PacketMeta meta, long nowMs) =>
        (_node.Flags & NodeFlags.DropMidStream) != NodeFlags.None
            ? Drop(ref meta, DropReason.NotASyn)
            : Reject(buffer, at, DropReason.NotASyn, ref meta, nowMs);

    private static FlowFlags FlagsOf(in ServiceEntry head, bool masquerade)
    {
        FlowFlags flags = masquerade ? FlowFlags.Masqueraded : FlowFlags.None;
        flags |= head.Algorithm.CountsFlows() ? FlowFlags.Counted : FlowFlags.None;
        flags |= (head.Flags & ServiceFlags.ResetIfGone) != ServiceFlags.None ? FlowFlags.ResetIfGone : FlowFlags.None;
        flags |= (head.Flags & ServiceFlags.KeepIfGone) != ServiceFlags.None ? FlowFlags.KeepIfGone : FlowFlags.None;
        return flags;
    }

    /// <summary>Remembers the flow under a source address and port by which the backend's answers can be told apart.</summary>
    private DropReason Create(NewFlow flow, long nowMs, out FlowHit created)
    {
        bool isSafe = true;
        if ((flow.Flags & FlowFlags.Masqueraded) != FlowFlags.None)
        {
            IpAddr address = flow.Original.IsIpv4 ? _node.PrimaryIpv4 : _node.PrimaryIpv6;
            if (address == default)
            {
                created = default;
                return DropReason.NoMasqueradeAddress;
            }

            // From this very address the port is its socket's own: nobody else on this node can be using it.
            isSafe = address == flow.Original.Source || _ports.Ranges.Contains(flow.Original.SourcePort);
            flow = flow with { Reply = flow.Reply with { Destination = address } };
        }

        // Not only of a masqueraded flow the port may change: two frontends with one backend, dialled from one port, would else have
        // the same answers (steering, section 6, clash 1).
        for (int again = 0; again < MostCreations; again++)
        {
            switch (_ports.TryCreate(flow, isSafe, nowMs, out created))
            {
                case CreateResult.Created:
                    return DropReason.None;

                case CreateResult.Exists when _flows.TryLookup(flow.Original, nowMs, out created):
                    return DropReason.None; // another worker was first with a packet of the same flow

                case CreateResult.Full:
                    return DropReason.ConntrackFull;

                case CreateResult.ReplyTaken:
                    return DropReason.SnatPortsExhausted;
            }
        }

        created = default;
        return DropReason.MapsInMotion;
    }

    /// <summary>Not for a service that we know. What becomes of it depends on where it wants to go.</summary>
    private Verdict NoFrontend(
        Span<byte> buffer, in HeaderOffsets at, NetworkFlags destination, ref PacketMeta meta, long nowMs)
    {
        if (meta.Tuple.Destination.IsLinkLocalOrMulticast || IsForged(meta.Tuple.Source))
        {
            return Drop(ref meta, DropReason.NotRoutable);
        }

        if ((destination & NetworkFlags.ServiceRange) != NetworkFlags.None)
        {
            // Nothing of the service range is ever passed on: it would leave by the default route (steering P7).
            if ((_node.Flags & NodeFlags.Synced) == NodeFlags.None)
            {
                return Drop(ref meta, DropReason.NotSynced);
            }

            if (!TryFindAddress(meta.Tuple.Destination, out ServiceEntry address))
            {
                return Drop(ref meta, DropReason.UnknownServiceAddress);
            }

            if ((_node.Flags & NodeFlags.EchoReply) != NodeFlags.None && EchoReply.Answers(at, meta.Tuple))
            {
                return AnswerPing(buffer[..meta.Length], at, address, ref meta);
            }

            return at.Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp
                ? Reject(buffer, at, DropReason.UnknownServicePort, ref meta, nowMs) // semantics R18
                : Drop(ref meta, DropReason.UnknownProtocol);
        }

        if ((_node.Flags & NodeFlags.EchoReply) != NodeFlags.None && at.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6
            && (destination & NetworkFlags.NodeAddress) == NetworkFlags.None // else the kernel answers
            && TryFindAddress(meta.Tuple.Destination, out ServiceEntry external))
        {
            // Later fragments do not tell a ping from another message: of other messages none may be remembered.
            return EchoReply.Answers(at, meta.Tuple) ? AnswerPing(buffer[..meta.Length], at, external, ref meta)
                : at.IsFragment ? Drop(ref meta, DropReason.IcmpFragment)
                : Verdict.Pass;
        }

        // From a backend, and not the beginning of a connection of its own: an answer whose flow is gone. Passed on with the
        // backend's address, it would make the client reset a connection that may still be good.
        return !at.IsOpening && _flows.LooksLikeReply(meta.Tuple)
            ? Drop(ref meta, DropReason.UntranslatableReply)
            : Verdict.Pass;
    }

    /// <summary>Not translated for anybody: it goes back, in the name of the address that was asked.</summary>
    private Verdict AnswerPing(Span<byte> packet, in HeaderOffsets at, in ServiceEntry address, ref PacketMeta meta)
    {
        if ((address.Flags & ServiceFlags.SourceRange) != ServiceFlags.None
            && !_maps.IsSourceAllowed(address.ServicePortId, meta.Tuple.Source))
        {
            return Drop(ref meta, DropReason.NotInSourceRange);
        }

        _counters.CountAnsweredPing();
        meta.Translated = EchoReply.Build(packet, at, meta.Tuple, meta.PartialChecksum);
        return Verdict.Forward;
    }

    /// <summary>What is said to such an address leaves by the default route, or is asked of us in turn.</summary>
    private bool IsForged(IpAddr source) => Sender.Of(_maps, source, _node.Flags).IsForged;

    private bool TryFindAddress(IpAddr address, out ServiceEntry entry) =>
        _maps.Services.TryLookup(new ServiceKey(address, 0, IpProtocol.Any, LookupScope.External, 0), out entry)
        && (entry.Flags & ServiceFlags.ActiveAddress) != ServiceFlags.None;

    /// <summary>Turns the packet into the answer that tells its sender, as a host without a listener would give it.</summary>
    private Verdict Reject(Span<byte> buffer, in HeaderOffsets at, DropReason reason, ref PacketMeta meta, long nowMs)
    {
        if (IsForged(meta.Tuple.Source))
        {
            return Drop(ref meta, DropReason.NotRoutable);
        }

        if (at.Protocol != IpProtocol.Tcp && !_rejects.TryTake(nowMs))
        {
            return Drop(ref meta, DropReason.RejectRateLimited);
        }

        int length = RejectReply.Build(buffer, at, meta.Tuple);
        if (length == 0)
        {
            return Drop(ref meta, reason); // to a reset, nobody answers
        }

        meta.DropReason = reason;
        meta.Length = length;
        meta.PartialChecksum = false;
        return Verdict.Reject;
    }
}
