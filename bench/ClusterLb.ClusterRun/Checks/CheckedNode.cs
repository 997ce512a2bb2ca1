using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>A node that checks use.</summary>
/// <param name="Name">Of its Node object.</param>
/// <param name="Address">Its InternalIP, IPv4.</param>
/// <param name="Address6">The same, IPv6; null in a cluster without.</param>
/// <param name="Origin">Its own network, to ask from.</param>
internal sealed record CheckedNode(string Name, IPAddress Address, IPAddress? Address6, Origin Origin);
