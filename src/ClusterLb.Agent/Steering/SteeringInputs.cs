using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>Everything that <see cref="SteeringPlan"/> depends on.</summary>
public sealed record SteeringInputs
{
    /// <summary>Name of the TUN device.</summary>
    public required string Device { get; init; }

    /// <summary>Marks, tables, priorities.</summary>
    public required SteeringOptions Options { get; init; }

    /// <summary>MTU of the device in bytes.</summary>
    public required int Mtu { get; init; }

    /// <summary>The kernel knows IPv6, whether or not this node uses it.</summary>
    public bool KernelHasIpv6 { get; init; } = true;

    /// <summary>Settings of the kernel's own flow table.</summary>
    public KernelConntrackOptions Conntrack { get; init; } = new();

    /// <summary>conntrack.snatPorts. The kernel must not hand out those of the first range, see <see cref="SourcePorts"/>.</summary>
    public SnatPortRanges SnatPorts { get; init; } = SnatPortRanges.Default;

    /// <summary>IPv4, or null if this node has none.</summary>
    public SteeringFamily? Ipv4 { get; init; }

    /// <summary>IPv6, or null if this node has none.</summary>
    public SteeringFamily? Ipv6 { get; init; }

    /// <summary>127.0.0.0/8 answers on node ports too.</summary>
    public bool LoopbackNodePorts { get; init; } = true;

    /// <summary>The table for bridges of pods, as a file for <c>nft -f</c>; empty if there is nothing to take up from any.</summary>
    public string BridgeNft { get; init; } = "";

    /// <summary>The families that there are.</summary>
    public IEnumerable<SteeringFamily> Families => new[] { Ipv4, Ipv6 }.OfType<SteeringFamily>();
}
