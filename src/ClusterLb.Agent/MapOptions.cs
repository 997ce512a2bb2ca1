namespace ClusterLb.Agent;

/// <summary>Sizes of the load-balancing maps. A map that is made has its size for good; another size is an upgrade at the next start.</summary>
public sealed record MapOptions
{
    /// <summary>Frontends and their slots, per address family.</summary>
    public int Services { get; init; } = 262_144;

    /// <summary>Backends, per address family.</summary>
    public int Backends { get; init; } = 131_072;

    /// <summary>Frontends, per address family.</summary>
    public int Frontends { get; init; } = 65_536;

    /// <summary>Backends that serve, terminating ones included, summed over all service ports.</summary>
    public int Serving { get; init; } = 262_144;

    /// <summary>Backends that are eligible, summed over all frontends with session affinity.</summary>
    public int Eligible { get; init; } = 65_536;

    /// <summary>Service ports.</summary>
    public int ServicePorts { get; init; } = 65_536;

    /// <summary>Service ranges, pod ranges and node addresses, per address family.</summary>
    public int Networks { get; init; } = 4_096;

    /// <summary>Every problem.</summary>
    public IEnumerable<string> Problems()
    {
        (string Name, int Value)[] sizes =
        [
            ("services", Services), ("backends", Backends), ("frontends", Frontends), ("serving", Serving),
            ("eligible", Eligible), ("servicePorts", ServicePorts), ("networks", Networks),
        ];
        foreach ((string name, int value) in sizes)
        {
            if (value is < Min or > Max)
            {
                yield return $"maps.{name} is {value}, but must be from {Min} to {Max} entries.";
            }
        }
    }

    private const int Min = 64;
    private const int Max = 16_777_216;
}
