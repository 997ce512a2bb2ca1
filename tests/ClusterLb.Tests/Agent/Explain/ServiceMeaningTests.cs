using System.Collections.Immutable;
using ClusterLb.Agent.Explain;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Agent.Explain;

/// <summary>Compiler, maps and pipeline together against the rules of Service traffic, written down once more in the simplest way: random
/// clusters that change all the time, and flows of every kind to every kind of frontend.</summary>
public sealed class ServiceMeaningTests
{
    private const string NodeName = "node-a";
    private const int Clusters = 120;
    private const int FlowsPerCluster = 30;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Every_connection_becomes_what_the_rules_say(int seed)
    {
        var world = new World(seed);
        var verdicts = new Dictionary<Verdict, int>();
        var store = new ClusterStateStore(NodeName);
        store.SourceComplete();
        using var maps = new DictionaryLbMaps();
        using var loop = new ReconcileLoop(store, maps);
        for (int cluster = 0; cluster < Clusters; cluster++)
        {
            world.Change(store);
            loop.SyncNow();
            Assert.Empty(MapReader.Faults(maps));
            var reference = new ReferenceServices([.. world.Services.Values], [.. world.Slices.Values], world.Node);
            for (int i = 0; i < FlowsPerCluster; i++)
            {
                FlowTuple flow = world.Flow();
                ReferenceOutcome want = reference.Decide(flow.Source, flow.Destination, flow.DestinationPort, flow.Protocol);
                string got = Outcome(new Explainer(maps).Trials(flow, nowMs: 1_000_000));
                Assert.True(want.ToString() == got,
                    $"seed {seed}, cluster {cluster}: {flow}\ngot  {got}\nwant {want}\n{world}\n{MapDump.Of(maps)}");
                verdicts[want.Verdict] = verdicts.GetValueOrDefault(want.Verdict) + 1;
            }
        }

        // The flows are of use only if they get everywhere.
        Assert.All(Enum.GetValues<Verdict>(), verdict => Assert.True(verdicts.GetValueOrDefault(verdict) > Clusters, $"seed {seed}: {verdict}"));
    }

    private static string Outcome(IReadOnlyList<Trial> trials) => new ReferenceOutcome(trials[0].First.Verdict)
    {
        Backends = trials.Where(t => t.First.Verdict == Verdict.Forward)
            .ToDictionary(t => t.First.Written!.Value.Destination.WithPort(t.First.Written!.Value.DestinationPort), t => t.First.Meta.Masqueraded),
    }.ToString();

    /// <summary>A small world, so that addresses, ports and services meet in every way.</summary>
    private sealed class World(int seed)
    {
        private static readonly string[] ServiceIps = ["10.96.0.1", "10.96.0.2", "10.96.0.3"];
        private static readonly string[] ServiceIps6 = ["fd00:96::1", "fd00:96::2"];
        private static readonly string[] LbIps = ["198.51.100.1", "198.51.100.2", "192.168.1.2"];
        private static readonly string[] LbIps6 = ["2001:db8:5::1", "2001:db8:5::2"];
        private static readonly ushort[] NodePorts = [30001, 30002, 30003];

        private readonly Random _random = new(seed);

        public Dictionary<ObjectName, Service> Services { get; } = [];

        public Dictionary<ObjectName, BackendSlice> Slices { get; } = [];

        public ReferenceNode Node { get; private set; } = null!;

        public override string ToString() => $"{Node}\n{string.Join('\n', Services.Values)}\n{string.Join('\n', Slices.Values.Select(s => $"{s} {string.Join(' ', s.Backends)}"))}";

        public void Change(ClusterStateStore store)
        {
            if (Node is null || _random.Next(6) == 0)
            {
                Node = RandomNode();
                store.Put(new LocalNode { Name = NodeName, Zone = Node.Zone, Addresses = [.. Node.Addresses] });
                store.SetNetwork(new NetworkInputs
                {
                    ServiceRanges = [.. Node.ServiceRanges],
                    PodRanges = [.. Node.PodRanges],
                    NodeAddresses = [.. Node.Addresses],
                    NodePortRanges = [.. Node.NodePortRanges],
                    NodePortsOnPrimaryOnly = Node.NodePortsOnPrimaryOnly,
                    LocalhostNodePorts = Node.LocalhostNodePorts,
                    MasqueradeAll = Node.MasqueradeAll,
                });
            }

            for (int changes = _random.Next(1, 8); changes > 0; changes--)
            {
                var service = new ObjectName("test", $"s{_random.Next(4)}");
                var slice = new ObjectName("test", $"{service.Name}-{_random.Next(3)}");
                switch (_random.Next(12))
                {
                    case 0:
                        Services.Remove(service);
                        store.RemoveService(service);
                        break;
                    case 1:
                        Slices.Remove(slice);
                        store.RemoveSlice(slice);
                        break;
                    case < 6:
                        store.Put(Services[service] = RandomService(service));
                        break;
                    default:
                        store.Put(Slices[slice] = RandomSlice(slice, service));
                        break;
                }
            }
        }

        public FlowTuple Flow()
        {
            bool isIpv4 = _random.Next(3) != 0;
            string source = isIpv4
                ? Pick("10.244.0.1", "10.244.0.2", "10.244.9.9", "192.168.0.2", "192.168.1.2", "192.168.0.3", "203.0.113.2", "203.0.113.200", "127.0.0.1", "198.51.100.1", "10.244.0.99")
                : Pick("fd00:244::1", "fd00:244::9", "2001:db8::1", "2001:db8:1::2", "2600:5200::1", "2001:db8:5::1");
            string destination = isIpv4
                ? Pick([.. ServiceIps, .. LbIps, "192.168.0.2", "192.168.1.2", "192.168.0.3", "10.96.0.77", "203.0.113.99", .. source == "127.0.0.1" ? ["127.0.0.1"] : (string[])[]])
                : Pick([.. ServiceIps6, .. LbIps6, "2001:db8::1", "2001:db8:1::2", "fd00:96::77"]);
            bool isNodePort = destination.StartsWith("192.", StringComparison.Ordinal) || destination.StartsWith("127.", StringComparison.Ordinal)
                || destination is "2001:db8::1" or "2001:db8:1::2";
            ushort port = isNodePort && _random.Next(6) != 0 ? Pick(NodePorts) : Pick<ushort>(80, 80, 80, 81, 53);
            IpProtocol protocol = port == 53 ? Pick(IpProtocol.Udp, IpProtocol.Udp, IpProtocol.Tcp) : Pick(IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Sctp);
            return new FlowTuple(IpAddr.Parse(source), IpAddr.Parse(destination), 41_000, port, protocol);
        }

        private ReferenceNode RandomNode() => new()
        {
            Name = NodeName,
            Zone = Pick("", "east", "west"),
            Addresses = [.. Pick<string[]>(
                ["192.168.0.2", "192.168.1.2", "2001:db8::1", "2001:db8:1::2"], ["192.168.0.2", "10.244.0.1", "2001:db8::1"]).Select(IpAddr.Parse)],
            ServiceRanges = [IpPrefix.Parse("10.96.0.0/16"), IpPrefix.Parse("fd00:96::/112")],
            PodRanges = [.. Pick<string[]>(["10.244.0.0/16", "fd00:244::/64"], ["10.244.0.0/16", "fd00:244::/64"], ["10.244.0.0/16"], []).Select(IpPrefix.Parse)],
            NodePortRanges = [.. Pick<string[]>([], [], ["192.168.0.0/24"], ["127.0.0.0/8", "2001:db8::/64"], ["0.0.0.0/0"]).Select(IpPrefix.Parse)],
            NodePortsOnPrimaryOnly = _random.Next(5) == 0,
            LocalhostNodePorts = _random.Next(3) != 0,
            MasqueradeAll = _random.Next(4) == 0,
        };

        private Service RandomService(ObjectName name)
        {
            (string Name, IpProtocol Protocol, ushort Port)[] ports = [("http", IpProtocol.Tcp, 80), ("dns", IpProtocol.Udp, 53), ("u80", IpProtocol.Udp, 80), ("s80", IpProtocol.Sctp, 80)];
            bool isIpv6 = _random.Next(2) == 0;
            bool isIpv4 = !isIpv6 || _random.Next(2) == 0;
            string[] clusterIps = [.. isIpv4 ? [Pick(ServiceIps)] : (string[])[], .. isIpv6 ? [Pick(ServiceIps6)] : (string[])[]];
            return new Service
            {
                Name = name,
                CreatedAt = DateTimeOffset.UnixEpoch.AddSeconds(_random.Next(3)),
                Type = Pick(ServiceType.ClusterIP, ServiceType.NodePort, ServiceType.LoadBalancer),
                ClusterIps = [.. clusterIps.Select(IpAddr.Parse)],
                ExternalIps = Some([.. LbIps, .. LbIps6]),
                LoadBalancerIps = Some([.. LbIps, .. LbIps6]),
                SourceRanges = [.. Pick<string[]>([], [], ["203.0.113.0/25"], ["192.168.0.0/24", "2600:5200::/32"], ["2600:5200::/64"], ["10.244.0.0/16"]).Select(IpPrefix.Parse)],
                Ports = [.. ports.Take(_random.Next(1, 5)).Select(p => new ServicePort(p.Name, p.Protocol, p.Port, _random.Next(3) == 0 ? (ushort)0 : Pick(NodePorts)))
                    .DistinctBy(p => p.NodePort == 0 ? (object)p : (p.NodePort, p.Protocol))],
                InternalTrafficPolicy = _random.Next(4) == 0 ? TrafficPolicy.Local : TrafficPolicy.Cluster,
                ExternalTrafficPolicy = _random.Next(2) == 0 ? TrafficPolicy.Local : TrafficPolicy.Cluster,
            };
        }

        private ImmutableArray<IpAddr> Some(string[] addresses) => [.. addresses.Where(_ => _random.Next(4) == 0).Select(IpAddr.Parse)];

        private BackendSlice RandomSlice(ObjectName name, ObjectName service)
        {
            bool isIpv4 = _random.Next(3) != 0;
            bool hasHints = _random.Next(2) == 0;
            return new BackendSlice
            {
                Name = name,
                Service = service,
                IsIpv4 = isIpv4,
                Ports = [.. ((BackendPort[])[new("http", IpProtocol.Tcp, (ushort)_random.Next(8080, 8082)), new("dns", IpProtocol.Udp, 53), new("u80", IpProtocol.Udp, 80), new("s80", IpProtocol.Sctp, 80)])
                    .Where(_ => _random.Next(5) != 0)],
                Backends = [.. Enumerable.Range(0, _random.Next(5)).Select(_ => new Backend(
                    IpAddr.Parse($"{(isIpv4 ? "10.244.0." : "fd00:244::")}{_random.Next(1, 6)}"),
                    _random.Next(3) == 0 ? (BackendConditions)_random.Next(8) : _random.Next(3) == 0 ? BackendConditions.Serving | BackendConditions.Terminating : (BackendConditions)3,
                    Pick("", NodeName, "node-b", "node-b"),
                    hasHints && _random.Next(6) != 0 ? new TopologyHints(_random.Next(2) == 0 ? [Pick(NodeName, "node-b")] : [], [Pick("east", "west")]) : null))],
            };
        }

        private T Pick<T>(params T[] choices) => choices[_random.Next(choices.Length)];
    }
}
