namespace ClusterLb.Dataplane.Conntrack;

/// <summary>What was decided when a flow began.</summary>
/// <remarks>Part of the file's layout; append only.</remarks>
[Flags]
public enum FlowFlags : byte
{
    /// <summary>The client's address is kept.</summary>
    None = 0,

    /// <summary>The backend sees an address of this node instead of the client's.</summary>
    Masqueraded = 1,

    /// <summary>Client and backend are the same pod.</summary>
    Hairpin = 2,

    /// <summary>Another source port, because the flow would have clashed with another one.</summary>
    PortChanged = 4,

    /// <summary>Counts as one of its backend's active flows, until it closes or is forgotten: the service compares them.</summary>
    Counted = 8,

    /// <summary><see cref="Maps.BackendGonePolicy.Reset"/>. With neither of these two: <see cref="Maps.BackendGonePolicy.Drain"/>.</summary>
    ResetIfGone = 16,

    /// <summary><see cref="Maps.BackendGonePolicy.Keep"/>.</summary>
    KeepIfGone = 32,
}
