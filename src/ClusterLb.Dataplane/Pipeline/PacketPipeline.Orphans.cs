using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>A packet of a TCP connection whose backend has left its service: who is waited for, and who is told.</summary>
public sealed partial class PacketPipeline
{
    /// <summary>As <see cref="Forward"/>, for as long as the backend answers.</summary>
    private Verdict ForwardOrphan(Span<byte> buffer, in HeaderOffsets at, in FlowHit flow, ref PacketMeta meta, long nowMs)
    {
        FlowState added = flow.StateAfter(at.Protocol, at.TcpFlags) & ~flow.State;
        FlowState removed = FlowState.None;
        long expiresMs = 0;
        bool isGone = (flow.State & FlowState.BackendGone) != FlowState.None;
        if (flow.IsReply && !isGone)
        {
            removed = FlowState.AnswerDue;
            expiresMs = nowMs + _timeouts.Of(at.Protocol, flow.State | added);
        }
        else if (!isGone && AsksForAnswer(buffer, at))
        {
            long askedAtMs = _flows.ExpiresMs(flow) - OrphanPass.LifeMs;
            bool isAsked = (flow.State & FlowState.AnswerDue) != FlowState.None && askedAtMs <= nowMs;
            isGone = isAsked && nowMs - askedAtMs >= OrphanPass.AnswerMs;
            added |= FlowState.AnswerDue;
            expiresMs = isAsked ? 0 : nowMs + OrphanPass.LifeMs;
        }
        else if (!isGone && (at.TcpFlags & TcpFlags.Rst) != TcpFlags.None)
        {
            expiresMs = nowMs + _timeouts.Of(at.Protocol, flow.State | added); // the client has given up: nothing is waited for
        }

        if (isGone && !flow.IsReply && at.IsOpening)
        {
            _flows.Remove(flow); // the client knows already, and begins another connection from the same port
            meta.Queue = flow.Queue;
            return BeginFlow(buffer, at, ref meta, nowMs);
        }

        if (isGone)
        {
            return EndOrphan(buffer, at, flow, ref meta, nowMs);
        }

        _flows.RecordOrphan(flow, added, removed, expiresMs, at.TotalLength);
        return Translate(buffer[..meta.Length], at, flow, ref meta);
    }

    /// <summary>
    /// Nobody will answer, or nobody is meant to. The client is told by a reset in the backend's name: in answer to its own packet, or in
    /// the place of a packet that the backend sends after all. Then the backend's further packets are answered by a reset as well.
    /// </summary>
    private Verdict EndOrphan(Span<byte> buffer, in HeaderOffsets at, in FlowHit flow, ref PacketMeta meta, long nowMs)
    {
        bool isTold = (flow.State & FlowState.Reset) != FlowState.None;
        _flows.RecordOrphan(flow, FlowState.BackendGone | FlowState.Reset, FlowState.None, nowMs + _timeouts.Of(at.Protocol, FlowState.Reset), at.TotalLength);
        if (!isTold)
        {
            _counters.CountResetFlow();
        }

        Tell(flow, ref meta);
        if (flow.IsReply && !isTold)
        {
            meta.Length = TcpReset.Become(buffer, at, flow.Translated);
            meta.DropReason = DropReason.BackendGone;
            meta.PartialChecksum = false;
            return Verdict.Reject;
        }

        return Reject(buffer, at, DropReason.BackendGone, ref meta, nowMs);
    }

    /// <summary>Data and FIN are acknowledged by whoever has the connection; an acknowledgement alone is not.</summary>
    private static bool AsksForAnswer(ReadOnlySpan<byte> packet, in HeaderOffsets at) =>
        (at.TcpFlags & (TcpFlags.Fin | TcpFlags.Syn)) != TcpFlags.None
        || (TcpHeader.Parse(packet[at.TransportOffset..at.TotalLength], out TcpHeader segment) == DropReason.None && segment.PayloadLength > 0);
}
