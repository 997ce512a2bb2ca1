namespace ClusterLb.Dataplane.Conntrack;

/// <summary>How many flows the tables hold. Fixed when a file is made; another value makes a new file and copies (design section 6).</summary>
public sealed record FlowCapacities
{
    private const int Least = 64;
    private const int Most = 16_777_216;

    /// <summary>IPv4 flows, both directions counted once. 128 bytes each.</summary>
    public int Ipv4 { get; init; } = 262_144;

    /// <summary>IPv6 flows, both directions counted once. 176 bytes each.</summary>
    public int Ipv6 { get; init; } = 131_072;

    /// <summary>Workers that have counters of their own.</summary>
    public int Workers { get; init; } = 64;

    /// <summary>Clients that can be pinned to a backend by session affinity, per family. 43 to 85 bytes each for IPv4, twice that for IPv6.</summary>
    public int Affinity { get; init; } = 65_536;

    /// <summary>Fragmented datagrams whose first fragment is remembered, both families. 64 bytes each.</summary>
    public int Fragments { get; init; } = 8_192;

    /// <summary>Every problem, so that one restart is enough to fix a bad file.</summary>
    public IEnumerable<string> Problems()
    {
        if (Ipv4 is < Least or > Most)
        {
            yield return $"conntrack capacity for IPv4 is {Ipv4}, but must be from {Least} to {Most} flows.";
        }

        if (Ipv6 is < Least or > Most)
        {
            yield return $"conntrack capacity for IPv6 is {Ipv6}, but must be from {Least} to {Most} flows.";
        }

        if (Affinity is < Least or > Most)
        {
            yield return $"the capacity for session affinity is {Affinity}, but must be from {Least} to {Most} clients.";
        }

        if (Fragments is < Least or > Most)
        {
            yield return $"the capacity for fragments is {Fragments}, but must be from {Least} to {Most} datagrams.";
        }

        if (Workers is < 1 or > 256)
        {
            yield return $"the number of workers with counters is {Workers}, but must be from 1 to 256.";
        }
    }
}
