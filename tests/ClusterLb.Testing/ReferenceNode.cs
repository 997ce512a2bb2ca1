using ClusterLb.Dataplane;

namespace ClusterLb.Testing;

/// <summary>The node of <see cref="ReferenceServices"/>.</summary>
public sealed record ReferenceNode
{
    public required string Name { get; init; }

    public string Zone { get; init; } = "";

    /// <summary>The first of each family is the primary.</summary>
    public required IReadOnlyList<IpAddr> Addresses { get; init; }

    public required IReadOnlyList<IpPrefix> ServiceRanges { get; init; }

    /// <summary>A family without one has no detector.</summary>
    public IReadOnlyList<IpPrefix> PodRanges { get; init; } = [];

    public IReadOnlyList<IpPrefix> NodePortRanges { get; init; } = [];

    public bool NodePortsOnPrimaryOnly { get; init; }

    public bool LocalhostNodePorts { get; init; } = true;

    public bool MasqueradeAll { get; init; }
}
