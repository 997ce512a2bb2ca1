namespace ClusterLb.Dataplane;

/// <summary>What becomes of a packet after the pipeline has seen it.</summary>
/// <remarks>Append only: the numbers stand in trace records and dashboards.</remarks>
public enum Verdict : byte
{
    /// <summary>Silently discarded; a <see cref="DropReason"/> says why and is counted.</summary>
    Drop = 0,

    /// <summary>Translated (DNAT or reverse NAT) and written to the queue of its flow.</summary>
    Forward = 1,

    /// <summary>Not for a service: written back unchanged.</summary>
    Pass = 2,

    /// <summary>Refused: the buffer now holds the answer to its sender, a TCP RST or an ICMP port unreachable.</summary>
    Reject = 3,
}
