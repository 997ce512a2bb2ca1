using System.Collections.Immutable;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>How node ports, load balancer and external addresses come to the device, of one family.</summary>
/// <remarks>
/// An address that nobody here has is routed, like a service range. One that is assigned to this node must not be (steering of the whole
/// address would take its ARP answers and its sockets along): like a node port it is a set element, which names protocol and port too.
/// </remarks>
internal static class ExternalAddresses
{
    /// <summary>Adds them to a family.</summary>
    /// <param name="family">With its service ranges.</param>
    /// <param name="frontends">External frontends of either family; those of the maps.</param>
    /// <param name="network">Which addresses are assigned to this node.</param>
    /// <param name="node">On which of them node ports answer.</param>
    /// <param name="isRestricted">Not on all.</param>
    public static SteeringFamily AddTo(
        SteeringFamily family, ImmutableHashSet<FrontendKey> frontends, NodeNetwork network, NodeImage node, bool isRestricted)
    {
        bool isIpv4 = !family.IsIpv6;
        HashSet<IpAddr> assigned = [.. network.Addresses.Select(a => a.Address)];
        FrontendKey[] mine = [.. frontends.Where(f => f.Address.IsIpv4 == isIpv4)];
        IpAddr zeros = IpAddr.Unspecified(isIpv4);
        FrontendKey[] atAddresses = [.. mine.Where(f => f.Address != zeros && !f.Address.IsLoopback && !f.Address.IsLinkLocalOrMulticast)];
        return family with
        {
            NodePorts = [.. mine.Where(f => f.Address == zeros).Select(f => (f.Protocol, f.Port))],
            NodePortAddresses = isRestricted
                ? [.. node.Networks.Where(n => n.Value.HasFlag(NetworkFlags.NodePortAddress) && n.Key.Address.IsIpv4 == isIpv4).Select(n => n.Key.Address)]
                : null,
            OwnAddresses = [.. atAddresses.Where(f => assigned.Contains(f.Address))],
            Destinations = family.Destinations.Union(atAddresses
                .Where(f => !assigned.Contains(f.Address) && !family.Destinations.Any(range => range.Contains(f.Address)))
                .Select(f => IpPrefix.Host(f.Address))),
        };
    }

    /// <summary>nodePortAddresses names some addresses of the family, or primary ones only.</summary>
    public static bool IsRestricted(NetworkInputs inputs, bool isIpv4)
    {
        IpPrefix[] ranges = [.. inputs.NodePortRanges.Where(range => range.Address.IsIpv4 == isIpv4)];
        return inputs.NodePortsOnPrimaryOnly || (ranges.Length > 0 && !Array.Exists(ranges, range => range.Length == 0));
    }
}
