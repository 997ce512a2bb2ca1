using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The life of a TCP connection as a proxy in the middle sees it: who has spoken, who has finished.</summary>
/// <remarks>
/// Liberal on purpose: no sequence numbers and no windows. Tracking them resets good connections after a lost packet or a
/// reload (kubernetes/kubernetes#74839), and the two ends check them anyway. What a liar can gain is a timeout of 10 s
/// instead of hours: packets of a closing flow are still translated, and each of them extends its life.
/// </remarks>
internal static class TcpFlow
{
    private const FlowState BothFins = FlowState.ClientFin | FlowState.BackendFin;

    /// <summary>The state after a segment with these flags.</summary>
    public static FlowState After(FlowState state, TcpFlags flags, bool isReply)
    {
        FlowState next = state;
        if (isReply)
        {
            next |= FlowState.ReplySeen;
        }
        else if ((flags & TcpFlags.Syn) == TcpFlags.None && (state & FlowState.ReplySeen) != FlowState.None)
        {
            // Not earlier: a sender of forged SYNs and ACKs who sees no answer never gets an established flow.
            next |= FlowState.Established;
        }

        if ((flags & TcpFlags.Fin) != TcpFlags.None)
        {
            next |= isReply ? FlowState.BackendFin : FlowState.ClientFin;
        }

        if ((flags & TcpFlags.Rst) != TcpFlags.None)
        {
            next |= FlowState.Reset;
        }

        return next;
    }

    /// <summary>Both sides have finished, or one has reset: a new SYN begins a new connection.</summary>
    public static bool IsClosing(FlowState state) =>
        (state & FlowState.Reset) != FlowState.None || (state & BothFins) == BothFins;

    /// <summary>One side has finished.</summary>
    public static bool IsHalfClosed(FlowState state) => (state & BothFins) != FlowState.None;
}
