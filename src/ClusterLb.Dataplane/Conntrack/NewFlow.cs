using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A flow that is to be remembered.</summary>
public readonly struct NewFlow
{
    /// <summary>Client to frontend.</summary>
    public FlowTuple Original { get; init; }

    /// <summary>Backend to client, or to the masquerade address: what an answer will look like.</summary>
    public FlowTuple Reply { get; init; }

    /// <summary>What was decided.</summary>
    public FlowFlags Flags { get; init; }

    /// <summary>The queue that every packet of the flow is written to.</summary>
    public ushort Queue { get; init; }

    /// <summary>The backend's id.</summary>
    public uint BackendId { get; init; }

    /// <summary>The frontend's id.</summary>
    public uint RevNatId { get; init; }

    /// <summary>The service port's id.</summary>
    public uint ServicePortId { get; init; }

    /// <summary>The service port's revision, read before the backend was chosen.</summary>
    public ulong Revision { get; init; }

    /// <summary>Length of the client's packet that begins it, IP header included; 0 if none does.</summary>
    public int LengthBytes { get; init; }

    /// <summary>When it is forgotten if no packet follows, CLOCK_MONOTONIC milliseconds.</summary>
    public long ExpiresMs { get; init; }

    /// <summary>A flow that never came to anything has to give its answers' tuple to this one if it would expire at this time or before;
    /// 0: none has to.</summary>
    public long DisplacesExpiringMs { get; init; }
}

/// <summary>Answer to <see cref="FlowTables.TryCreate"/>.</summary>
public enum CreateResult
{
    /// <summary>Both directions are found from now on.</summary>
    Created,

    /// <summary>Another worker was first with the same original tuple: look it up.</summary>
    Exists,

    /// <summary>The reply tuple belongs to another flow: choose another source port.</summary>
    ReplyTaken,

    /// <summary>No room, and no idle flow that was never established.</summary>
    Full,
}
