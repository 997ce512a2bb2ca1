using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Simulation;

/// <summary>All objects at one moment, and what they mean for a new flow: kube-proxy's rules written down once more, from the objects.</summary>
internal sealed record ClusterFacts(
    ImmutableArray<Service> Services, ImmutableArray<BackendSlice> Slices, string Zone, bool MasqueradesAll, bool AnswersPing)
{
    private static readonly IpPrefix[] PodRanges = [IpPrefix.Parse("10.244.0.0/16"), IpPrefix.Parse("fd00:10:244::/48")];
    private static readonly IpPrefix[] ServiceRanges = [IpPrefix.Parse("10.96.0.0/12"), IpPrefix.Parse("fd00:10:96::/108")];

    public static ClusterFacts None { get; } = new([], [], "", false, false);

    /// <summary>What must become of the first packet of a flow.</summary>
    public Expectation Of(in FlowTuple tuple)
    {
        IpAddr source = tuple.Source;
        bool isForged = ServiceRanges.Any(range => range.Contains(source)); // no answer could go anywhere
        return isForged ? new Expectation(Verdict.Drop) : OfHonest(tuple);
    }

    /// <summary>What must become of an echo request: forwarded means answered.</summary>
    public Verdict OfPing(IpAddr source, IpAddr destination)
    {
        bool isInRange = ServiceRanges.Any(range => range.Contains(destination));
        if (!AnswersPing || Services.Any(service => service.ClusterIps.Contains(destination)))
        {
            return AnswersPing ? Verdict.Forward : isInRange ? Verdict.Drop : Verdict.Pass;
        }

        Service? balanced = Services.FirstOrDefault(
            service => service.LoadBalancerIps.Contains(destination) && service.ClusterIps.Any(address => address.IsIpv4 == destination.IsIpv4));
        return balanced is not null ? IsLetIn(balanced, source) ? Verdict.Forward : Verdict.Drop
            : isInRange ? Verdict.Drop
            : Verdict.Pass;
    }

    private static bool IsLetIn(Service service, IpAddr source)
    {
        IpPrefix[] ranges = [.. service.SourceRanges.Where(range => range.Address.IsIpv4 == source.IsIpv4)];
        return ranges.Length == 0 || ranges.Any(range => range.Contains(source));
    }

    private Expectation OfHonest(in FlowTuple tuple)
    {
        foreach (Service service in Services)
        {
            foreach (ServicePort port in service.Ports)
            {
                if (KindOf(service, port, tuple) is { } kind)
                {
                    return Of(service, port, kind, tuple);
                }
            }
        }

        IpAddr destination = tuple.Destination;
        return !ServiceRanges.Any(range => range.Contains(destination)) ? new Expectation(Verdict.Pass)
            : Services.Any(service => service.ClusterIps.Contains(destination)) ? new Expectation(Verdict.Reject)
            : new Expectation(Verdict.Drop);
    }

    private static FrontendKind? KindOf(Service service, ServicePort port, FlowTuple tuple)
    {
        bool hasFamily = service.ClusterIps.Any(address => address.IsIpv4 == tuple.IsIpv4);
        if (port.Protocol != tuple.Protocol || !hasFamily)
        {
            return null;
        }

        if (port.NodePort != 0 && port.NodePort == tuple.DestinationPort && SimulatedCluster.NodeAddresses.Contains(tuple.Destination))
        {
            return FrontendKind.NodePort;
        }

        return port.Port != tuple.DestinationPort ? null
            : service.ClusterIps.Contains(tuple.Destination) ? FrontendKind.ClusterIp
            : service.LoadBalancerIps.Contains(tuple.Destination) ? FrontendKind.LoadBalancer
            : service.ExternalIps.Contains(tuple.Destination) ? FrontendKind.ExternalIp
            : null;
    }

    private Expectation Of(Service service, ServicePort port, FrontendKind kind, FlowTuple tuple)
    {
        IpAddr source = tuple.Source;
        bool isPod = PodRanges.Any(range => range.Contains(source));
        bool isNode = SimulatedCluster.NodeAddresses.Contains(source);
        if (kind == FrontendKind.LoadBalancer && !IsLetIn(service, source))
        {
            return new Expectation(Verdict.Drop);
        }

        (Endpoint[] cluster, Endpoint[] local) = EndpointsOf(service.Name, port, tuple.IsIpv4);
        if (service.Split is { } split && Services.Any(
            other => other.Name == split.Canary && other.Ports.Any(p => p.Name == port.Name && p.Protocol == port.Protocol)))
        {
            (Endpoint[] canary, Endpoint[] localCanary) = EndpointsOf(split.Canary, port, tuple.IsIpv4);
            (cluster, local) = ([.. cluster, .. canary], [.. local, .. localCanary]);
        }

        if (cluster.Length == 0)
        {
            return new Expectation(Verdict.Reject);
        }

        bool isExternal = kind != FrontendKind.ClusterIp;
        bool isLocalPolicy = isExternal
            ? service.ExternalTrafficPolicy == TrafficPolicy.Local && !isPod && !isNode
            : service.InternalTrafficPolicy == TrafficPolicy.Local;
        Endpoint[] chosen = isLocalPolicy ? local : cluster;
        bool masquerades = !isExternal ? MasqueradesAll || !isPod
            : service.ExternalTrafficPolicy == TrafficPolicy.Cluster || (isNode && !isPod);
        return chosen.Length == 0 ? new Expectation(Verdict.Drop) : new Expectation(Verdict.Forward)
        {
            Backends = [.. chosen.Select(endpoint => (endpoint.Backend.Address, endpoint.Port))],
            Masquerades = masquerades,
            Service = service,
            ServicePort = port.Name,
        };
    }

    /// <summary>Whom policy Cluster may choose, and whom policy Local may.</summary>
    private (Endpoint[] Cluster, Endpoint[] Local) EndpointsOf(ObjectName service, ServicePort port, bool isIpv4)
    {
        Endpoint[] all = [.. Slices.Where(slice => slice.Service == service && slice.IsIpv4 == isIpv4).SelectMany(slice =>
            slice.Ports.Where(p => p.Name == port.Name && p.Protocol == port.Protocol)
                .SelectMany(p => slice.Backends.Select(backend => new Endpoint(backend, p.Port))))];
        Endpoint[] ready = [.. all.Where(endpoint => endpoint.Backend.IsReady)];
        Endpoint[] cluster = ready.Length > 0 ? ByZone(ready) : [.. all.Where(endpoint => endpoint.Backend.IsFallback)];
        Endpoint[] local = [.. ready.Where(IsLocal)];
        return (cluster, local.Length > 0 ? local : [.. all.Where(endpoint => endpoint.Backend.IsFallback && IsLocal(endpoint))]);
    }

    private Endpoint[] ByZone(Endpoint[] ready)
    {
        bool allHaveHints = ready.All(endpoint => endpoint.Backend.Hints is { Zones.IsEmpty: false });
        Endpoint[] inZone = [.. ready.Where(endpoint => endpoint.Backend.Hints is { } hints && hints.Zones.Contains(Zone))];
        return Zone.Length > 0 && allHaveHints && inZone.Length > 0 ? inZone : ready;
    }

    private static bool IsLocal(Endpoint endpoint) => endpoint.Backend.NodeName == SimulatedCluster.NodeName;

    private enum FrontendKind
    {
        ClusterIp,
        NodePort,
        LoadBalancer,
        ExternalIp,
    }

    private readonly record struct Endpoint(Backend Backend, ushort Port);
}

/// <summary>What must become of the first packet of a flow.</summary>
internal sealed record Expectation(Verdict Verdict)
{
    /// <summary>Where it may go.</summary>
    public ImmutableArray<(IpAddr Address, ushort Port)> Backends { get; init; } = [];

    /// <summary>It must come from this node's address, whatever the backend.</summary>
    public bool Masquerades { get; init; }

    public Service? Service { get; init; }

    public string ServicePort { get; init; } = "";
}
