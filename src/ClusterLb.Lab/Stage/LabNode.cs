using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>A node of the lab's cluster: a network namespace with an uplink and one interface per pod.</summary>
/// <param name="Name">Name of the Node object.</param>
/// <param name="Index">From 1; part of its addresses.</param>
public sealed record LabNode(string Name, int Index)
{
    /// <summary>Of a node with bridged pods: the interface that they are ports of.</summary>
    public const string Bridge = "cni0";

    /// <summary>How its pods are attached.</summary>
    public LabWiring Wiring { get; init; }

    /// <summary>Its pods are ports of <see cref="Bridge"/>.</summary>
    public bool IsBridged => Wiring != LabWiring.Routed;

    /// <summary>The node's IPv4 address, on eth0.</summary>
    public IpAddr Ipv4 => IpAddr.Parse($"172.31.0.{10 + Index}");

    /// <summary>The node's IPv6 address, on eth0.</summary>
    public IpAddr Ipv6 => IpAddr.Parse($"fd31::{10 + Index}");

    /// <summary>On the bridge: where its pods send what is for others.</summary>
    public IpAddr BridgeIpv4 => IpAddr.Parse($"10.244.{Index}.1");

    /// <summary>On the bridge: where its pods send what is for others.</summary>
    public IpAddr BridgeIpv6 => IpAddr.Parse($"fd10:244:0:{Index}::1");

    /// <summary>IPv4 addresses of this node's pods.</summary>
    public IpPrefix PodCidr4 => IpPrefix.Parse($"10.244.{Index}.0/24");

    /// <summary>IPv6 addresses of this node's pods.</summary>
    public IpPrefix PodCidr6 => IpPrefix.Parse($"fd10:244:0:{Index}::/64");
}
