namespace ClusterLb.Dataplane.Maps;

/// <summary>How many entries fit, fixed when a file is made; another number at the next start copies the entries to a new file.</summary>
/// <remarks>All memory is allocated at once: some 100 MB with the defaults (docs/maps.md has the bytes per entry).</remarks>
public sealed record LbMapCapacities
{
    /// <summary>The least and the most that each number may be.</summary>
    public const int Least = 16;

    /// <summary>The most that each number may be: sixteen million.</summary>
    public const int Most = 1 << 24;

    /// <summary>Frontends and their slots together, per family: 1 + backends, for each frontend and scope.</summary>
    public int Services { get; init; } = 262_144;

    /// <summary>Backends per family.</summary>
    public int Backends { get; init; } = 131_072;

    /// <summary>Frontends per family (the reverse NAT map).</summary>
    public int Frontends { get; init; } = 65_536;

    /// <summary>Pairs of service port and backend that serves it.</summary>
    public int Serving { get; init; } = 262_144;

    /// <summary>Pairs of frontend with affinity and eligible backend.</summary>
    public int Eligible { get; init; } = 65_536;

    /// <summary>Service ports.</summary>
    public int ServicePorts { get; init; } = 65_536;

    /// <summary>Names of service ports: 272 bytes each.</summary>
    public int ServiceNames { get; init; } = 65_536;

    /// <summary>Blocks of addresses per family.</summary>
    public int Networks { get; init; } = 4_096;

    /// <summary>Blocks of loadBalancerSourceRanges per family, counted once for each service port.</summary>
    public int SourceRanges { get; init; } = 16_384;

    /// <summary>Maglev tables: one per service port in a family that chooses by a hash, twice that with a policy Local, twice that with a
    /// split. Each takes 4 bytes per slot of <see cref="MaglevTableSize"/>.</summary>
    public int MaglevTables { get; init; } = 64;

    /// <summary>As many where services choose by a hash unless they say otherwise: some 64 MiB with the usual size.</summary>
    public const int MaglevTablesOfAll = 256;

    /// <summary>Slots of a Maglev table (maglev.tableSize): a prime number of <see cref="MaglevTableSizes"/>, several hundred for each
    /// backend of the largest service. With the default at most 1 % of the other slots change hands when one of a hundred backends
    /// goes; with a quarter of it 1.5 % (docs/algorithms.md).</summary>
    public int MaglevTableSize { get; init; } = 65_521;

    /// <summary>What <see cref="MaglevTableSize"/> may be: Cilium's list.</summary>
    public static IReadOnlyList<int> MaglevTableSizes { get; } = [251, 509, 1_021, 2_039, 4_093, 8_191, 16_381, 32_749, 65_521, 131_071];

    /// <summary>For tests and for one-shot tools: a few thousand of each, two megabytes.</summary>
    public static LbMapCapacities Small => new()
    {
        Services = 8_192,
        Backends = 4_096,
        Frontends = 2_048,
        Serving = 4_096,
        Eligible = 4_096,
        ServicePorts = 2_048,
        ServiceNames = 2_048,
        Networks = 256,
        SourceRanges = 512,
        MaglevTables = 16,
        MaglevTableSize = 1_021,
    };

    /// <summary>Every problem, so that one restart is enough to fix a bad file.</summary>
    public IEnumerable<string> Problems()
    {
        (string Name, int Value)[] all =
        [
            ("services", Services), ("backends", Backends), ("frontends", Frontends), ("serving", Serving),
            ("eligible", Eligible), ("servicePorts", ServicePorts), ("serviceNames", ServiceNames), ("networks", Networks),
            ("sourceRanges", SourceRanges), ("maglevTables", MaglevTables),
        ];
        return all
            .Where(capacity => capacity.Value is < Least or > Most)
            .Select(capacity => $"maps.{capacity.Name} is {capacity.Value}, but must be from {Least} to {Most} entries.")
            .Concat(MaglevTableSizes.Contains(MaglevTableSize) ? []
                : [$"maglev.tableSize is {MaglevTableSize}, but must be one of {string.Join(", ", MaglevTableSizes)}."]);
    }
}
