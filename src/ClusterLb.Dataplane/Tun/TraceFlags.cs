namespace ClusterLb.Dataplane.Tun;

/// <summary>What else is to be said of a traced packet.</summary>
/// <remarks>Append only: the bits stand in shared memory.</remarks>
[Flags]
public enum TraceFlags : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>It created its flow.</summary>
    NewFlow = 1,

    /// <summary>It goes from the backend to the client.</summary>
    Reply = 2,

    /// <summary>Its flow's source address is translated too (masquerade or hairpin).</summary>
    Masqueraded = 4,
}
