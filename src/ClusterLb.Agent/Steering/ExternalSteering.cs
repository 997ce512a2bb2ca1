using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>Node ports, and frontends at load balancer and external addresses, of one family.</summary>
/// <remarks>
/// They are set elements that name protocol and port, never routes: such an address may be this node's, another node's or anybody's, and
/// only what is dialled there for a service is ours. docs/design/external-addresses.md has the whole argument.
/// </remarks>
internal static class ExternalSteering
{
    /// <summary>Adds them to a family.</summary>
    /// <param name="family">With its service ranges.</param>
    /// <param name="frontends">External frontends, and marks of pinged addresses, of either family; those of the maps.</param>
    /// <param name="node">On which addresses node ports answer.</param>
    /// <param name="isRestricted">Not on all.</param>
    public static SteeringFamily AddTo(SteeringFamily family, ImmutableHashSet<FrontendKey> frontends, NodeImage node, bool isRestricted)
    {
        bool isIpv4 = !family.IsIpv6;
        IpAddr zeros = IpAddr.Unspecified(isIpv4);
        FrontendKey[] mine = [.. frontends.Where(f => f.Address.IsIpv4 == isIpv4)];
        FrontendKey[] addressed = [.. mine.Where(f => f.Address != zeros && IsOrdinary(f.Address) && !family.Destinations.Any(range => range.Contains(f.Address)))];
        return family with
        {
            NodePorts = [.. mine.Where(f => f.Address == zeros).Select(f => (f.Protocol, f.Port))],
            NodePortAddresses = isRestricted
                ? [.. node.Networks.Where(n => n.Value.HasFlag(NetworkFlags.NodePortAddress) && n.Key.Address.IsIpv4 == isIpv4).Select(n => n.Key.Address)]
                : null,
            Frontends = [.. addressed.Where(f => !f.IsAddressMark)],
            Pinged = [.. addressed.Where(f => f.IsAddressMark).Select(f => f.Address)],
        };
    }

    private static bool IsOrdinary(IpAddr address) => !address.IsLoopback && !address.IsLinkLocalOrMulticast;
}
