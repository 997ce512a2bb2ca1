using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A flow that a packet belongs to: a consistent copy of what never changes, and its state when it was read.</summary>
public readonly struct FlowHit
{
    /// <summary>What the packet's tuple becomes.</summary>
    public FlowTuple Translated { get; init; }

    /// <summary>The packet goes from the backend to the client.</summary>
    public bool IsReply { get; init; }

    /// <summary>This very packet made the flow.</summary>
    public bool IsNew { get; init; }

    /// <summary>State before this packet.</summary>
    public FlowState State { get; init; }

    /// <summary>What was decided at its beginning.</summary>
    public FlowFlags Flags { get; init; }

    /// <summary>The queue of its first packet.</summary>
    public ushort Queue { get; init; }

    /// <summary>The backend's id.</summary>
    public uint BackendId { get; init; }

    /// <summary>The frontend's id.</summary>
    public uint RevNatId { get; init; }

    /// <summary>The service port's id.</summary>
    public uint ServicePortId { get; init; }

    /// <summary>The service port's revision when the backend was last known to serve.</summary>
    public ulong Revision { get; init; }

    /// <summary>Both sides have finished, or one has reset.</summary>
    public bool IsClosing => TcpFlow.IsClosing(State);

    /// <summary>The backend has sent something.</summary>
    public bool IsAnswered => (State & FlowState.ReplySeen) != FlowState.None;

    /// <summary>TCP: one side has finished.</summary>
    public bool IsHalfClosed => TcpFlow.IsHalfClosed(State);

    /// <summary>TCP: its backend has left the service port.</summary>
    public bool IsOrphan => (State & FlowState.Orphaned) != FlowState.None;

    /// <summary>It is on its backend's account of active flows, unless it is closing.</summary>
    internal bool IsCounted => (Flags & FlowFlags.Counted) != FlowFlags.None;

    internal int Place { get; init; }

    internal uint Generation { get; init; }

    /// <summary>State after this packet.</summary>
    /// <param name="protocol">The packet's.</param>
    /// <param name="flags">The packet's, if it is TCP.</param>
    public FlowState StateAfter(IpProtocol protocol, TcpFlags flags) => protocol == IpProtocol.Tcp
        ? TcpFlow.After(State, flags, IsReply)
        : IsReply ? State | FlowState.ReplySeen : IsAnswered ? State | FlowState.Established : State;
}
