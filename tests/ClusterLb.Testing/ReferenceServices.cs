using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Testing;

/// <summary>What must become of a new connection, the slow and obvious way: straight from the rules of Service traffic over plain lists of
/// objects. Shares no code with compiler, maps and pipeline.</summary>
public sealed class ReferenceServices(IReadOnlyList<Service> services, IReadOnlyList<BackendSlice> slices, ReferenceNode node)
{
    /// <summary>Decides on one connection.</summary>
    public ReferenceOutcome Decide(IpAddr source, IpAddr destination, ushort port, IpProtocol protocol)
    {
        if (Find(destination, port, protocol) is not var (service, servicePort, kind))
        {
            if (!node.ServiceRanges.Any(range => range.Contains(destination)))
            {
                return new ReferenceOutcome(Verdict.Pass); // R18
            }

            bool isActive = services.Any(s => s.ClusterIps.Contains(destination));
            return new ReferenceOutcome(isActive ? Verdict.Reject : Verdict.Drop); // R18, as nftables mode
        }

        bool isIpv4 = destination.IsIpv4;
        if (kind == Kind.LoadBalancer && !IsLetIn(service, source))
        {
            return new ReferenceOutcome(Verdict.Drop); // R25, before everything else (R21)
        }

        List<(Backend Backend, ushort Port)> all = BackendsOf(service, servicePort, isIpv4);
        List<(Backend Backend, ushort Port)> cluster = ClusterSet(all);
        if (cluster.Count == 0)
        {
            return new ReferenceOutcome(Verdict.Reject); // R15
        }

        bool hasDetector = node.PodRanges.Any(range => range.Address.IsIpv4 == isIpv4);
        bool isPod = hasDetector && node.PodRanges.Any(range => range.Contains(source));
        bool isNode = node.Addresses.Contains(source) || source.ToString() == "::1" || source.ToString().StartsWith("127.", StringComparison.Ordinal);

        bool isLocalPolicy = kind == Kind.ClusterIp
            ? service.InternalTrafficPolicy == TrafficPolicy.Local
            : service.ExternalTrafficPolicy == TrafficPolicy.Local && !isPod && !isNode; // R20
        List<(Backend Backend, ushort Port)> set = isLocalPolicy ? LocalSet(all) : cluster;
        if (set.Count == 0)
        {
            return new ReferenceOutcome(Verdict.Drop); // R16
        }

        bool masquerade;
        if (kind == Kind.ClusterIp)
        {
            masquerade = node.MasqueradeAll || (hasDetector && !isPod); // R22
        }
        else
        {
            masquerade = service.ExternalTrafficPolicy == TrafficPolicy.Cluster || (isNode && !isPod); // R23, R20
        }

        return new ReferenceOutcome(Verdict.Forward)
        {
            Backends = set.ToDictionary(b => b.Backend.Address.WithPort(b.Port), b => masquerade || b.Backend.Address == source), // R24
        };
    }

    private enum Kind
    {
        ClusterIp,
        LoadBalancer,
        ExternalIp,
        NodePort,
    }

    private (Service Service, ServicePort Port, Kind Kind)? Find(IpAddr destination, ushort port, IpProtocol protocol)
    {
        Service[] byAge = [.. services.Where(s => s.ClusterIps.Any(ip => ip.IsIpv4 == destination.IsIpv4)) // R2
            .OrderBy(s => s.CreatedAt).ThenBy(s => s.Name)];
        (Kind Kind, Func<Service, bool> Has)[] kinds =
        [
            (Kind.ClusterIp, s => s.ClusterIps.Contains(destination)),
            (Kind.LoadBalancer, s => s.LoadBalancerIps.Contains(destination)),
            (Kind.ExternalIp, s => s.ExternalIps.Contains(destination)),
        ];
        foreach ((Kind kind, Func<Service, bool> has) in kinds)
        {
            foreach (Service service in byAge.Where(has))
            {
                if (service.Ports.FirstOrDefault(p => p.Port == port && p.Protocol == protocol) is { } found)
                {
                    return (service, found, kind);
                }
            }
        }

        if (!HasNodePorts(destination))
        {
            return null;
        }

        foreach (Service service in byAge)
        {
            if (service.Ports.FirstOrDefault(p => p.NodePort == port && p.Protocol == protocol && port != 0) is { } found)
            {
                return (service, found, Kind.NodePort);
            }
        }

        return null;
    }

    /// <summary>R29, R30.</summary>
    private bool HasNodePorts(IpAddr address)
    {
        bool isLoopback = address.ToString().StartsWith("127.", StringComparison.Ordinal);
        if (!node.Addresses.Contains(address) && !(isLoopback && node.LocalhostNodePorts))
        {
            return false;
        }

        if (node.NodePortsOnPrimaryOnly)
        {
            return address == node.Addresses.First(a => a.IsIpv4 == address.IsIpv4);
        }

        IpPrefix[] ofFamily = [.. node.NodePortRanges.Where(range => range.Address.IsIpv4 == address.IsIpv4)];
        IpAddr asked = isLoopback ? IpAddr.Parse("127.0.0.1") : address;
        return ofFamily.Length == 0 || ofFamily.Any(range => range.Contains(asked));
    }

    /// <summary>R25 to R27.</summary>
    private bool IsLetIn(Service service, IpAddr source)
    {
        IpPrefix[] ranges = [.. service.SourceRanges.Where(range => range.Address.IsIpv4 == source.IsIpv4)];
        IpAddr primary = node.Addresses.First(a => a.IsIpv4 == source.IsIpv4);
        return ranges.Length == 0
            || ranges.Any(range => range.Contains(source))
            || (ranges.Any(range => range.Contains(primary)) && service.LoadBalancerIps.Contains(source));
    }

    /// <summary>R5, R9.</summary>
    private List<(Backend Backend, ushort Port)> BackendsOf(Service service, ServicePort servicePort, bool isIpv4)
    {
        var all = new List<(Backend Backend, ushort Port)>();
        foreach (BackendSlice slice in slices.Where(s => s.Service == service.Name && s.IsIpv4 == isIpv4).OrderBy(s => s.Name))
        {
            foreach (BackendPort port in slice.Ports.Where(p => p.Name == servicePort.Name && p.Protocol == servicePort.Protocol))
            {
                all.AddRange(slice.Backends.Select(backend => (backend, port.Port)));
            }
        }

        return [.. all
            .GroupBy(b => (b.Backend.Address, b.Port))
            .Select(same => same.OrderBy(b => b.Backend.IsTerminating).ThenByDescending(b => b.Backend.IsReady).ThenByDescending(b => IsLocal(b.Backend)).First())];
    }

    /// <summary>R11, R13.</summary>
    private List<(Backend Backend, ushort Port)> ClusterSet(List<(Backend Backend, ushort Port)> all)
    {
        List<(Backend Backend, ushort Port)> ready = [.. all.Where(b => b.Backend.IsReady)];
        if (ready.Count == 0)
        {
            return [.. all.Where(b => IsFallback(b.Backend))];
        }

        if (ready.All(b => b.Backend.Hints is { Nodes.Length: > 0 }) && ready.Any(b => b.Backend.Hints!.Nodes.Contains(node.Name)))
        {
            return [.. ready.Where(b => b.Backend.Hints!.Nodes.Contains(node.Name))];
        }

        if (node.Zone.Length > 0 && ready.All(b => b.Backend.Hints is { Zones.Length: > 0 }) && ready.Any(b => b.Backend.Hints!.Zones.Contains(node.Zone)))
        {
            return [.. ready.Where(b => b.Backend.Hints!.Zones.Contains(node.Zone))];
        }

        return ready;
    }

    /// <summary>R12.</summary>
    private List<(Backend Backend, ushort Port)> LocalSet(List<(Backend Backend, ushort Port)> all)
    {
        List<(Backend Backend, ushort Port)> ready = [.. all.Where(b => IsLocal(b.Backend) && b.Backend.IsReady)];
        return ready.Count > 0 ? ready : [.. all.Where(b => IsLocal(b.Backend) && IsFallback(b.Backend))];
    }

    /// <summary>R7.</summary>
    private static bool IsFallback(Backend backend) =>
        backend.Conditions.HasFlag(BackendConditions.Serving) && backend.Conditions.HasFlag(BackendConditions.Terminating);

    /// <summary>R10.</summary>
    private bool IsLocal(Backend backend) => backend.NodeName == node.Name;
}
