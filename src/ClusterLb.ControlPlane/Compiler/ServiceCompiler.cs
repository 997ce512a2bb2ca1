using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>From one service and its slices to what the maps shall say. Pure: the same input gives the same image.</summary>
/// <remarks>docs/services.md has the rules as tables.</remarks>
public static class ServiceCompiler
{
    /// <summary>Compiles one service as this node sees it.</summary>
    /// <param name="state">The service and its backends.</param>
    /// <param name="node">This node.</param>
    public static ServiceImage Compile(ServiceState state, NodeView node)
    {
        if (state.Service is not { } service || service.ClusterIps.IsEmpty)
        {
            return ServiceImage.Nothing(state.Name);
        }

        var ports = new List<ServicePortImage>(service.Ports.Length * service.ClusterIps.Length);
        foreach (IpAddr clusterIp in service.ClusterIps)
        {
            ImmutableArray<IpPrefix> sources = SourceRanges(service, clusterIp.IsIpv4, node);
            foreach (ServicePort port in service.Ports)
            {
                ports.Add(SplitCompiler.Apply(CompilePort(service, port, clusterIp, sources, state.Slices, node), state, node));
            }
        }

        return new ServiceImage(service.Name, ports, [.. SplitCompiler.Notices(state)])
        {
            CreatedAt = service.CreatedAt,
            AddressMarks = [.. AddressMarks(service, node)],
            ExternalIps = service.ExternalIps,
            Health = ServiceHealth.Of(state, node.Name),
        };
    }

    /// <summary>An external IP has none: anyone may write any address there, a node's for example, which people ping to see whether it is alive.</summary>
    private static IEnumerable<AddressMark> AddressMarks(Service service, NodeView node)
    {
        foreach (IpAddr address in service.ClusterIps)
        {
            yield return new AddressMark(address);
        }

        foreach (IpAddr address in node.AnswersPing ? service.LoadBalancerIps.Except(service.ClusterIps) : [])
        {
            if (service.ClusterIps.Any(ip => ip.IsIpv4 == address.IsIpv4)) // else it is no frontend (R2)
            {
                bool hasSources = service.SourceRanges.Any(range => range.Address.IsIpv4 == address.IsIpv4);
                yield return new AddressMark(address, ServiceFlags.LoadBalancer | (hasSources ? ServiceFlags.SourceRange : ServiceFlags.None));
            }
        }
    }

    private static ServicePortImage CompilePort(
        Service service, ServicePort port, IpAddr clusterIp, ImmutableArray<IpPrefix> sources, ImmutableArray<BackendSlice> slices, NodeView node)
    {
        bool isIpv4 = clusterIp.IsIpv4;
        BackendSets sets = BackendSets.Of(slices, port.Name, port.Protocol, isIpv4, node.Name, node.Zone);
        ServiceFlags all = (sets.AnyUsable ? ServiceFlags.EndpointsExist : ServiceFlags.None)
            | (service.AffinitySeconds != 0 ? ServiceFlags.Affinity : ServiceFlags.None);

        bool isInternalLocal = service.InternalTrafficPolicy == TrafficPolicy.Local;
        var frontends = new List<FrontendImage>
        {
            new(
                new FrontendKey(clusterIp, port.Port, port.Protocol),
                all | (isInternalLocal ? ServiceFlags.InternalLocalScope : ServiceFlags.None),
                isInternalLocal ? sets.Local : sets.Cluster)
            {
                AffinitySeconds = (uint)service.AffinitySeconds,
                Algorithm = service.Algorithm,
            },
        };

        bool isExternalLocal = service.ExternalTrafficPolicy == TrafficPolicy.Local;
        foreach ((FrontendKey key, ServiceFlags kind) in ExternalFrontends(service, port, isIpv4, hasSources: !sources.IsEmpty, node))
        {
            if (frontends.Exists(known => known.Key == key))
            {
                continue; // the same address twice, or as two kinds: the first kind has it
            }

            // R20: under policy Local whoever is inside of the cluster has another set than who is outside.
            frontends.Add(new FrontendImage(
                key,
                all | kind | ServiceFlags.Routable | (isExternalLocal ? ServiceFlags.ExternalLocalScope | ServiceFlags.TwoScopes : ServiceFlags.None),
                isExternalLocal ? sets.Local : sets.Cluster)
            {
                InternalSlots = isExternalLocal ? sets.Cluster : [],
                AffinitySeconds = (uint)service.AffinitySeconds,
                Algorithm = service.Algorithm,
            });
        }

        bool lacksLocal = sets.AnyUsable && sets.Local.Length == 0;
        return new ServicePortImage(new ServicePortKey(service.Name, port.Name, port.Protocol, isIpv4), sets.Serving, frontends)
        {
            NotServing = sets.NotServing,
            BackendGone = service.BackendGone,
            SourceRanges = frontends.Exists(f => f.Flags.HasFlag(ServiceFlags.SourceRange)) ? sources : [],
            Topology = sets.Topology,
            LacksInternalLocal = lacksLocal && isInternalLocal,
            LacksExternalLocal = lacksLocal && isExternalLocal && frontends.Count > 1,
        };
    }

    /// <summary>External frontends of one family (R4). LB addresses come first: an address that is an external IP too stays filtered.</summary>
    private static IEnumerable<(FrontendKey Key, ServiceFlags Kind)> ExternalFrontends(
        Service service, ServicePort port, bool isIpv4, bool hasSources, NodeView node)
    {
        foreach (IpAddr address in service.LoadBalancerIps.Where(ip => ip.IsIpv4 == isIpv4))
        {
            yield return (
                new FrontendKey(address, port.Port, port.Protocol),
                ServiceFlags.LoadBalancer | (hasSources ? ServiceFlags.SourceRange : ServiceFlags.None));
        }

        foreach (IpAddr address in node.ServesExternalIps ? service.ExternalIps.Where(ip => ip.IsIpv4 == isIpv4) : [])
        {
            yield return (new FrontendKey(address, port.Port, port.Protocol), ServiceFlags.ExternalIp);
        }

        if (port.NodePort != 0)
        {
            yield return (FrontendKey.OfNodePort(port.NodePort, port.Protocol, isIpv4), ServiceFlags.NodePort);
        }
    }

    /// <summary>The ranges of one family; none means that everyone is let in (R27).</summary>
    private static ImmutableArray<IpPrefix> SourceRanges(Service service, bool isIpv4, NodeView node)
    {
        if (service.SourceRanges.IsEmpty)
        {
            return [];
        }

        IpPrefix[] ranges = [.. service.SourceRanges.Where(range => range.Address.IsIpv4 == isIpv4).Distinct()];
        IpAddr primary = isIpv4 ? node.PrimaryIpv4 : node.PrimaryIpv6;
        bool isNodeAllowed = primary != default && Array.Exists(ranges, range => range.Contains(primary));

        // R26: many clouds put the LB address on the node too, and then the node's own packets to it come from that address.
        return isNodeAllowed
            ? [.. ranges.Concat(service.LoadBalancerIps.Where(ip => ip.IsIpv4 == isIpv4).Select(IpPrefix.Host)).Distinct()]
            : [.. ranges];
    }
}
