using System.Net;
using System.Net.Sockets;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>On which addresses health check node ports listen: where node ports answer (nodePortAddresses).</summary>
internal static class NodePortListenAddresses
{
    private static readonly IpAddr[] Loopback = [IpAddr.Parse("127.0.0.1"), IpAddr.Parse("::1")];

    /// <summary>The addresses of one family. Without a restriction it is one that stands for all, so that addresses may come and go.</summary>
    public static IReadOnlyList<IPAddress> Of(NetworkInputs network, LocalNode? node, bool isIpv4)
    {
        if (!isIpv4 && !Socket.OSSupportsIPv6)
        {
            return []; // a kernel without IPv6: a service of both families is no error here
        }

        if (!network.RestrictsNodePorts(isIpv4))
        {
            return [isIpv4 ? IPAddress.Any : IPAddress.IPv6Any];
        }

        if (network.NodePortsOnPrimaryOnly)
        {
            IpAddr primary = isIpv4
                ? NodeImage.Compile(network, node).Node.PrimaryIpv4
                : NodeImage.Compile(network, node).Node.PrimaryIpv6;
            return primary == default ? [] : [IPAddress.Parse(primary.ToString())];
        }

        IpPrefix[] ranges = [.. network.NodePortRanges.Where(range => range.Address.IsIpv4 == isIpv4)];
        return [.. network.NodeAddresses.Concat(Loopback).Where(a => a.IsIpv4 == isIpv4 && Array.Exists(ranges, range => range.Contains(a)))
            .Distinct().Select(a => IPAddress.Parse(a.ToString()))];
    }
}
