namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Answer to <see cref="FlowTables.RememberFragment"/>.</summary>
public enum FragmentResult
{
    /// <summary>Later fragments find their ports from now on.</summary>
    Remembered,

    /// <summary>The same, but a datagram of which more fragments could have come had to go for it.</summary>
    Evicted,

    /// <summary>Other workers were faster with every place: not by chance. The rest of the datagram will be dropped.</summary>
    Busy,
}
