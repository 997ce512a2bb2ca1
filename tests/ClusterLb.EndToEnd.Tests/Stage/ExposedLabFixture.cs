using ClusterLb.Dataplane;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Services with node ports, load balancer and external addresses; the router sends those addresses to node-a.</summary>
public class ExposedLabFixture : LabFixture
{
    private const string Router4 = "198.51.100.0/24";
    private const string Router6 = "2001:db8:51::/64";

    /// <summary>Of the services <c>sctp-a</c> and <c>sctp-b</c>; their backends have <see cref="SctpTargetPort"/>, which is a port of them, too.</summary>
    public const ushort SctpPort = 7;

    /// <summary>Where nobody listens but a test.</summary>
    public const ushort SctpTargetPort = 9;

    protected override string Tag => "x";

    /// <summary>Nodes and pods.</summary>
    protected virtual LabTopology Plain => LabTopology.Default;

    protected override LabTopology Initial
    {
        get
        {
            LabTopology lab = Plain;
            IReadOnlyList<LabServicePort> ports = lab.Service("web").Ports;
            LabServicePort[] sctp = [new("sctp", SctpPort, "SCTP", SctpTargetPort), new("sctp-same", SctpTargetPort, "SCTP", SctpTargetPort)];
            LabPod web1 = lab.Pod("web-1");
            LabPod web3 = lab.Pod("web-3");
            LabPod hostA = lab.Pod("host-a");
            return lab with
            {
                Services =
                [
                    .. lab.Services,
                    Exposed("cluster-a", 31, [web1]),
                    Exposed("cluster-b", 32, [web3]),
                    Exposed("local-a", 33, [web1], isLocal: true),
                    Exposed("local-b", 34, [web3], isLocal: true),
                    Exposed("local-host-a", 35, [hostA], isLocal: true),
                    Exposed("cluster-host-a", 36, [hostA]),
                    Exposed("nobody", 37, []),
                    Exposed("own-a", 38, [web3]), // its load balancer addresses are assigned to node-a
                    Exposed("closed-b", 40, [web3]) with { Ports = [.. ports.Select(port => port with { TargetPort = LabPod.ClosedPort })] },
                    Exposed("sctp-a", 41, [web1]) with { Ports = sctp },
                    Exposed("sctp-b", 42, [web3]) with { Ports = sctp },
                    Exposed("filtered", 39, [web1], sources: [IpPrefix.Parse("10.0.0.0/8"), IpPrefix.Parse("fd00::/8")]),
                ],
            };

            LabService Exposed(string name, int index, LabPod[] backends, bool isLocal = false, IpPrefix[]? sources = null) => new(name, index, ports, backends)
            {
                Exposure = new LabExposure(30_000 + (100 * index))
                {
                    IsLocal = isLocal,
                    LoadBalancerIps = [LoadBalancerIp(index, ipv6: false), LoadBalancerIp(index, ipv6: true)],
                    ExternalIps = [ExternalIp(index, ipv6: false), ExternalIp(index, ipv6: true)],
                    SourceRanges = sources ?? [],
                },
            };
        }
    }

    /// <summary>Of a service.</summary>
    public static IpAddr LoadBalancerIp(int index, bool ipv6) => IpAddr.Parse(ipv6 ? $"2001:db8:51::{index:x}" : $"198.51.100.{index}");

    /// <summary>Of a service.</summary>
    public static IpAddr ExternalIp(int index, bool ipv6) => IpAddr.Parse(ipv6 ? $"2001:db8:51::1{index:x}" : $"198.51.100.1{index}");

    /// <summary>Address of a service by a way in: NodePort (of node-a), LoadBalancer or ExternalIP.</summary>
    public IpAddr AddressOf(string kind, string service, bool ipv6) => kind switch
    {
        "NodePort" => ipv6 ? Topology.Node("node-a").Ipv6 : Topology.Node("node-a").Ipv4,
        "LoadBalancer" => LoadBalancerIp(Topology.Service(service).Index, ipv6),
        _ => ExternalIp(Topology.Service(service).Index, ipv6),
    };

    /// <summary>Port of a service by a way in.</summary>
    public int PortOf(string kind, string service, int port) =>
        kind == "NodePort" ? Topology.Service(service).Exposure!.FirstNodePort + port : port;

    /// <summary>From a member of the lab to a service by a way in.</summary>
    public TrafficTarget To(string from, string kind, string service, bool ipv6, int port) =>
        TrafficTarget.Of(Lab, from, AddressOf(kind, service, ipv6), PortOf(kind, service, port));

    /// <summary>To a ClusterIP from a pod and from node-a itself, from outside to a node port whose backend is on the other
    /// node, and to a load balancer address with its own address; both families.</summary>
    internal async Task<List<CheckedStream>> StartStreamsFromEverywhereAsync(bool udp, TimeSpan patience)
    {
        var streams = new List<CheckedStream>();
        foreach (TrafficTarget target in FromEverywhere())
        {
            streams.Add(await CheckedStream.StartAsync(target, udp, patience));
        }

        return streams;
    }

    /// <summary>The echo ports of those ways.</summary>
    internal IEnumerable<TrafficTarget> FromEverywhere() => ((bool[])[false, true]).SelectMany(ipv6 => (TrafficTarget[])
    [
        To("client-a", "web", ipv6, 7),
        To("node-a", "web", ipv6, 7),
        To(LabTopology.ClientName, "NodePort", "cluster-b", ipv6, 7),
        To(LabTopology.ClientName, "LoadBalancer", "local-a", ipv6, 7),
    ]);

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        if (LabNeeds.Reason is not null)
        {
            return;
        }

        LabNode a = Topology.Node("node-a");
        Exec(LabTopology.SwitchName, "ip", "route", "add", Router4, "via", $"{a.Ipv4}");
        Exec(LabTopology.SwitchName, "ip", "-6", "route", "add", Router6, "via", $"{a.Ipv6}");
        int own = Topology.Service("own-a").Index;
        Exec(a.Name, "ip", "addr", "add", $"{LoadBalancerIp(own, ipv6: false)}/32", "dev", "lo");
        Exec(a.Name, "ip", "-6", "addr", "add", $"{LoadBalancerIp(own, ipv6: true)}/128", "dev", "lo");
        await Eventually.IsAsync("the agent steers what is exposed", () => Task.FromResult(
            Clusterlb(a.Name, "status").Output.Contains("External:", StringComparison.Ordinal)));
    }
}
