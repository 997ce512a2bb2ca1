using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Simulation;

/// <summary>The API server and the kubelets: pods that live, objects that say so later. Small, so that everything collides.</summary>
internal sealed class SimulatedCluster
{
    public const string NodeName = "node-a";
    public const ushort SctpTargetPort = 9;
    private const int ServiceCount = 4;
    private const int PodCount = 8;

    private static readonly SelectionAlgorithm[] Algorithms =
    [
        SelectionAlgorithm.Default, SelectionAlgorithm.Random, SelectionAlgorithm.Maglev, SelectionAlgorithm.RoundRobin,
        SelectionAlgorithm.LeastConnections, SelectionAlgorithm.SourceHash,
    ];

    private readonly Dictionary<ObjectName, Service> _services = [];
    private readonly Dictionary<ObjectName, BackendSlice> _slices = [];
    private string _zone = "";
    private bool _masqueradesAll;
    private bool _answersPing = true;

    public static IpAddr[] NodeAddresses { get; } = [IpAddr.Parse("192.168.0.2"), IpAddr.Parse("fd00:192::2")];

    public Pod[] Pods { get; } = [.. Enumerable.Range(0, PodCount).Select(number => new Pod(number))];

    /// <summary>What the API server has now.</summary>
    public ClusterFacts Facts => new([.. _services.Values], [.. _slices.Values], _zone, _masqueradesAll, _answersPing);

    /// <summary>All frontends that there may ever be, for clients to dial.</summary>
    public static FlowTuple[] Frontends { get; } = [.. Enumerable.Range(0, ServiceCount).SelectMany(FrontendsOf)];

    /// <summary>An agent that has listed everything; in parts, if it is to see that nothing is done before the list is complete.</summary>
    public void Fill(ClusterStateStore store, Action? afterHalf = null)
    {
        store.Put(Node());
        store.SetNetwork(Network());
        foreach (Service service in _services.Values)
        {
            store.Put(service);
        }

        afterHalf?.Invoke();
        foreach (BackendSlice slice in _slices.Values)
        {
            store.Put(slice);
        }

        store.SourceComplete();
    }

    public string ChangePod(Random random)
    {
        Pod pod = Pods[random.Next(PodCount)];
        pod.Change(random);
        return $"{pod.Ipv4} is {pod.Phase}, instance {pod.Instance}";
    }

    /// <summary>The endpoint controller catches up with one service.</summary>
    public string Publish(Random random, ClusterStateStore? store)
    {
        int service = random.Next(ServiceCount);
        bool hasHints = random.Next(4) == 0;
        foreach (bool isIpv4 in (ReadOnlySpan<bool>)[true, false])
        {
            BackendSlice slice = SliceOf(service, isIpv4, hasHints);
            if (slice.Backends.IsEmpty && random.Next(2) == 0)
            {
                _slices.Remove(slice.Name);
                store?.RemoveSlice(slice.Name);
            }
            else
            {
                store?.Put(_slices[slice.Name] = slice);
                _slices[slice.Name] = slice;
            }
        }

        return $"s{service}: {string.Join(", ", SliceOf(service, true, hasHints).Backends.Select(b => $"{b.Address} {b.Conditions}"))}";
    }

    public string ChangeService(Random random, ClusterStateStore? store)
    {
        int number = random.Next(ServiceCount);
        ObjectName name = NameOf(number);
        if (_services.ContainsKey(name) && random.Next(4) == 0)
        {
            _services.Remove(name);
            store?.RemoveService(name);
            return $"{name.Name} is deleted";
        }

        Service service = RandomService(number, random);
        _services[name] = service;
        store?.Put(service);
        return $"{name.Name} is {service.Type}, {service.Algorithm}, affinity {service.AffinitySeconds} s, external {service.ExternalTrafficPolicy}, "
            + $"internal {service.InternalTrafficPolicy}, {service.Families}, ranges {string.Join(' ', service.SourceRanges)}, backend gone: {service.BackendGone}, split {service.Split}";
    }

    public string ChangeNode(Random random, ClusterStateStore? store)
    {
        _zone = (string[])["", "east", "west"] is var zones ? zones[random.Next(zones.Length)] : "";
        _masqueradesAll = random.Next(4) == 0;
        _answersPing = random.Next(3) > 0;
        store?.Put(Node());
        store?.SetNetwork(Network());
        return $"zone '{_zone}', masquerade all: {_masqueradesAll}, answers pings: {_answersPing}";
    }

    private static ObjectName NameOf(int service) => new("test", $"s{service}");

    private static IEnumerable<FlowTuple> FrontendsOf(int service)
    {
        IpAddr[] addresses =
        [
            IpAddr.Parse($"10.96.0.{10 + service}"), IpAddr.Parse($"fd00:10:96::{10 + service}"),
            IpAddr.Parse($"198.51.100.{1 + service}"), IpAddr.Parse($"192.0.2.{1 + service}"),
        ];
        foreach (IpAddr address in addresses)
        {
            yield return new FlowTuple(default, address, 0, 80, IpProtocol.Tcp);
            yield return new FlowTuple(default, address, 0, 53, IpProtocol.Udp);
            yield return new FlowTuple(default, address, 0, SctpPortOf(service), IpProtocol.Sctp);
        }

        foreach (IpAddr node in NodeAddresses)
        {
            yield return new FlowTuple(default, node, 0, (ushort)(30_080 + service), IpProtocol.Tcp);
            yield return new FlowTuple(default, node, 0, (ushort)(30_053 + service), IpProtocol.Udp);
            yield return new FlowTuple(default, node, 0, (ushort)(30_009 + service), IpProtocol.Sctp);
        }
    }

    /// <summary>Of every other service it is what the pods listen on: only there a packet in parts can be translated.</summary>
    private static ushort SctpPortOf(int service) => service % 2 == 0 ? SctpTargetPort : (ushort)7;

    private LocalNode Node() => new() { Name = NodeName, Zone = _zone, Addresses = [.. NodeAddresses] };

    private NetworkInputs Network() => new()
    {
        ServiceRanges = [IpPrefix.Parse("10.96.0.0/12"), IpPrefix.Parse("fd00:10:96::/108")],
        PodRanges = [IpPrefix.Parse("10.244.0.0/16"), IpPrefix.Parse("fd00:10:244::/48")],
        NodeAddresses = [.. NodeAddresses],
        MasqueradeAll = _masqueradesAll,
        AnswersPing = _answersPing,
    };

    private BackendSlice SliceOf(int service, bool isIpv4, bool hasHints) => new()
    {
        Name = NameOf(service) with { Name = $"s{service}-{(isIpv4 ? "4" : "6")}" },
        Service = NameOf(service),
        IsIpv4 = isIpv4,
        Ports = [new BackendPort("http", IpProtocol.Tcp, 8080), new BackendPort("dns", IpProtocol.Udp, 5353), new BackendPort("sctp", IpProtocol.Sctp, SctpTargetPort)],
        // Neighbours share pods, so that two services lead to one backend.
        Backends = [.. Pods.Where((pod, number) => pod.Phase != PodPhase.Absent && (number / 2 == service || (number / 2) + 1 == service))
            .Select(pod => new Backend(
                isIpv4 ? pod.Ipv4 : pod.Ipv6, ConditionsOf(pod.Phase), pod.Node, hasHints ? new TopologyHints([], [pod.Zone]) : null))],
    };

    private static BackendConditions ConditionsOf(PodPhase phase) => phase switch
    {
        PodPhase.Ready => BackendConditions.Ready | BackendConditions.Serving,
        PodPhase.Terminating => BackendConditions.Serving | BackendConditions.Terminating,
        PodPhase.Stopping => BackendConditions.Terminating,
        _ => BackendConditions.None,
    };

    private static Service RandomService(int number, Random random)
    {
        var type = (ServiceType)random.Next(3);
        bool hasNodePorts = type != ServiceType.ClusterIP;
        IpAddr ipv4 = IpAddr.Parse($"10.96.0.{10 + number}");
        IpAddr ipv6 = IpAddr.Parse($"fd00:10:96::{10 + number}");
        ImmutableArray<IpAddr> clusterIps = random.Next(4) switch { 0 => [ipv4], 1 => [ipv6], _ => [ipv4, ipv6] };
        bool isIpv4 = clusterIps[0].IsIpv4;
        return new Service
        {
            Name = NameOf(number),
            Type = type,
            ClusterIps = clusterIps,
            LoadBalancerIps = type == ServiceType.LoadBalancer && isIpv4 ? [IpAddr.Parse($"198.51.100.{1 + number}")] : [],
            ExternalIps = isIpv4 && random.Next(3) == 0 ? [IpAddr.Parse($"192.0.2.{1 + number}")] : [],
            SourceRanges = type == ServiceType.LoadBalancer && random.Next(2) == 0 ? [IpPrefix.Parse("203.0.113.0/29"), IpPrefix.Parse("10.244.0.0/16")] : [],
            Ports =
            [
                new ServicePort("http", IpProtocol.Tcp, 80, hasNodePorts ? (ushort)(30_080 + number) : (ushort)0),
                new ServicePort("dns", IpProtocol.Udp, 53, hasNodePorts ? (ushort)(30_053 + number) : (ushort)0),
                new ServicePort("sctp", IpProtocol.Sctp, SctpPortOf(number), hasNodePorts ? (ushort)(30_009 + number) : (ushort)0),
            ],
            InternalTrafficPolicy = random.Next(4) == 0 ? TrafficPolicy.Local : TrafficPolicy.Cluster,
            ExternalTrafficPolicy = random.Next(2) == 0 ? TrafficPolicy.Local : TrafficPolicy.Cluster,
            AffinitySeconds = random.Next(3) == 0 ? 60 : 0,
            Algorithm = Algorithms[random.Next(Algorithms.Length)],
            BackendGone = (BackendGonePolicy)random.Next(4),
            Split = random.Next(4) == 0 ? new TrafficSplit(NameOf((number + random.Next(1, ServiceCount)) % ServiceCount), random.Next(1, 101)) : null,
        };
    }
}
