using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>A node of the lab's cluster: a network namespace with an uplink and one interface per pod.</summary>
/// <param name="Name">Name of the Node object.</param>
/// <param name="Index">From 1; part of its addresses.</param>
public sealed record LabNode(string Name, int Index)
{
    /// <summary>The node's IPv4 address, on eth0.</summary>
    public IpAddr Ipv4 => IpAddr.Parse($"172.31.0.{10 + Index}");

    /// <summary>The node's IPv6 address, on eth0.</summary>
    public IpAddr Ipv6 => IpAddr.Parse($"fd31::{10 + Index}");

    /// <summary>IPv4 addresses of this node's pods.</summary>
    public IpPrefix PodCidr4 => IpPrefix.Parse($"10.244.{Index}.0/24");

    /// <summary>IPv6 addresses of this node's pods.</summary>
    public IpPrefix PodCidr6 => IpPrefix.Parse($"fd10:244:0:{Index}::/64");
}
