namespace ClusterLb.Agent.Admin;

/// <summary>What is installed in the kernel.</summary>
public sealed record SteeringStatus
{
    /// <summary>Packets to service addresses come to the device.</summary>
    public required bool Installed { get; init; }

    /// <summary>Name of the TUN device.</summary>
    public required string Device { get; init; }

    /// <summary>Bytes.</summary>
    public int Mtu { get; init; }

    /// <summary>The node's IPv4 address, source of its own connections; empty without IPv4.</summary>
    public string Ipv4Address { get; init; } = "";

    /// <summary>The node's IPv6 address; empty without IPv6.</summary>
    public string Ipv6Address { get; init; } = "";

    /// <summary>Service ranges that are routed to the device.</summary>
    public IReadOnlyList<string> Destinations { get; init; } = [];

    /// <summary>Who said so: ServiceCIDR objects of the cluster, or the configuration; empty if they are guessed.</summary>
    public string DestinationsOrigin { get; init; } = "";

    /// <summary>The destinations are guessed from cluster IPs, since neither the cluster nor the configuration says them.</summary>
    public bool DestinationsGuessed { get; init; }

    /// <summary>Node ports, counted by protocol, that come to the device.</summary>
    public int NodePorts { get; init; }

    /// <summary>Frontends at load balancer and external addresses that come to the device.</summary>
    public int ExternalFrontends { get; init; }

    /// <summary>Linux bridges whose ports are pods, by family.</summary>
    public IReadOnlyList<BridgeStatus> Bridges { get; init; } = [];

    /// <summary>When something was last put back or changed; null if never.</summary>
    public DateTimeOffset? LastChange { get; init; }

    /// <summary>How often something was put back that others had removed or changed.</summary>
    public long Repairs { get; init; }

    /// <summary>Somebody keeps removing what is put back: who is told what; empty if not.</summary>
    public string Contested { get; init; } = "";

    /// <summary>Why the last attempt failed; empty if it did not.</summary>
    public string LastError { get; init; } = "";
}
