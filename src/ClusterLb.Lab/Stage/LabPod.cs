using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>A pod of the lab's cluster; it answers on <see cref="HttpPort"/> and <see cref="EchoPort"/>.</summary>
/// <param name="Name">Name of the pod, and what its echo server says it is.</param>
/// <param name="Node">Where it runs.</param>
/// <param name="Index">From 1, counted per node; part of its addresses.</param>
/// <param name="HostNetwork">True if it shares the node's network namespace and addresses.</param>
public sealed record LabPod(string Name, LabNode Node, int Index, bool HostNetwork = false)
{
    /// <summary>TCP: HTTP, answers any GET with JSON.</summary>
    public const int HttpPort = 8080;

    /// <summary>TCP: one line of JSON, then every byte back. UDP: one line of JSON and the datagram back.</summary>
    public const int EchoPort = 8081;

    /// <summary>A port nobody listens on.</summary>
    public const int ClosedPort = 8089;

    /// <summary>Its IPv4 address; the node's own with <see cref="HostNetwork"/>.</summary>
    public IpAddr Ipv4 => HostNetwork ? Node.Ipv4 : IpAddr.Parse($"10.244.{Node.Index}.{10 + Index}");

    /// <summary>Its IPv6 address; the node's own with <see cref="HostNetwork"/>.</summary>
    public IpAddr Ipv6 => HostNetwork ? Node.Ipv6 : IpAddr.Parse($"fd10:244:0:{Node.Index}::{10 + Index}");

    /// <summary>The interface on the node that leads to the pod.</summary>
    public string NodeInterface => "eni-" + Name;
}
