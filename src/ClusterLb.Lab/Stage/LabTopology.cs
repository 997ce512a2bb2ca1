using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>What the lab's cluster consists of: nodes, pods, services and an external client. All dual stack.</summary>
/// <remarks>
/// <code>
///   client 203.0.113.10 ── switch (router and bridge) ── node-a 172.31.0.11 ── pods 10.244.1.0/24
///                                                     └─ node-b 172.31.0.12 ── pods 10.244.2.0/24
/// </code>
/// </remarks>
public sealed record LabTopology
{
    private static readonly LabServicePort Http = new("http", 80, "TCP", LabPod.HttpPort);
    private static readonly LabServicePort Echo = new("echo", 7, "TCP", LabPod.EchoPort);
    private static readonly LabServicePort EchoUdp = new("echo-udp", 7, "UDP", LabPod.EchoPort);

    /// <summary>IPv4 addresses of all pods.</summary>
    public static IpPrefix PodCidr4 { get; } = IpPrefix.Parse("10.244.0.0/16");

    /// <summary>IPv6 addresses of all pods.</summary>
    public static IpPrefix PodCidr6 { get; } = IpPrefix.Parse("fd10:244::/48");

    /// <summary>IPv4 addresses of services.</summary>
    public static IpPrefix ServiceCidr4 { get; } = IpPrefix.Parse("10.96.0.0/16");

    /// <summary>IPv6 addresses of services.</summary>
    public static IpPrefix ServiceCidr6 { get; } = IpPrefix.Parse("fd10:96::/112");

    /// <summary>The external client.</summary>
    public static IpAddr ClientIpv4 { get; } = IpAddr.Parse("203.0.113.10");

    /// <summary>The external client.</summary>
    public static IpAddr ClientIpv6 { get; } = IpAddr.Parse("2001:db8:113::10");

    /// <summary>Where nodes and client send what they have no route for: the switch.</summary>
    public static IpAddr NodeGateway4 { get; } = IpAddr.Parse("172.31.0.1");

    /// <summary>Where nodes and client send what they have no route for: the switch.</summary>
    public static IpAddr NodeGateway6 { get; } = IpAddr.Parse("fd31::1");

    /// <summary>Name of the external client, for <see cref="LabCluster.Namespace"/>.</summary>
    public const string ClientName = "client";

    /// <summary>Name of the switch, for <see cref="LabCluster.Namespace"/>.</summary>
    public const string SwitchName = "switch";

    /// <summary>The nodes.</summary>
    public required IReadOnlyList<LabNode> Nodes { get; init; }

    /// <summary>The pods of all nodes.</summary>
    public required IReadOnlyList<LabPod> Pods { get; init; }

    /// <summary>The services there are at the start.</summary>
    public required IReadOnlyList<LabService> Services { get; init; }

    /// <summary>Two nodes, seven pods, and a service for every question that the lab asks.</summary>
    public static LabTopology Default { get; } = Build();

    /// <summary>The same with pods on bridges: on node-a the node's rules see what is switched, on node-b they do not.</summary>
    public static LabTopology OnBridges { get; } = Build(LabWiring.BridgedWithNetfilter, LabWiring.Bridged);

    /// <summary>Everything that has a network namespace of its own: a host-network pod has not.</summary>
    public IEnumerable<string> NamespaceOwners =>
        [SwitchName, ClientName, .. Nodes.Select(n => n.Name), .. Pods.Where(p => !p.HostNetwork).Select(p => p.Name)];

    /// <summary>The pod of that name.</summary>
    /// <exception cref="LabException">There is none.</exception>
    public LabPod Pod(string name) =>
        Pods.FirstOrDefault(p => p.Name == name) ?? throw new LabException($"The lab has no pod '{name}'.");

    /// <summary>The node of that name.</summary>
    /// <exception cref="LabException">There is none.</exception>
    public LabNode Node(string name) =>
        Nodes.FirstOrDefault(n => n.Name == name) ?? throw new LabException($"The lab has no node '{name}'.");

    /// <summary>The service of that name.</summary>
    /// <exception cref="LabException">There is none.</exception>
    public LabService Service(string name) =>
        Services.FirstOrDefault(s => s.Name == name) ?? throw new LabException($"The lab has no service '{name}'.");

    private static LabTopology Build(LabWiring wiringA = LabWiring.Routed, LabWiring wiringB = LabWiring.Routed)
    {
        LabNode a = new("node-a", 1) { Wiring = wiringA };
        LabNode b = new("node-b", 2) { Wiring = wiringB };
        LabPod clientA = new("client-a", a, 1);
        LabPod web1 = new("web-1", a, 2);
        LabPod web2 = new("web-2", a, 3);
        LabPod clientB = new("client-b", b, 1);
        LabPod web3 = new("web-3", b, 2);
        LabPod web4 = new("web-4", b, 3);
        LabPod hostA = new("host-a", a, 0, HostNetwork: true);

        return new LabTopology
        {
            Nodes = [a, b],
            Pods = [clientA, web1, web2, clientB, web3, web4, hostA],
            Services =
            [
                new("web", 10, [Http, Echo, EchoUdp], [web1, web2, web3, web4]),
                new("on-node-a", 11, [Http, Echo, EchoUdp], [web1]), // one backend: local to node-a, hairpin for web-1
                new("on-node-b", 12, [Http, Echo, EchoUdp], [web3]),
                new("on-host-a", 13, [Http, Echo, EchoUdp], [hostA]),
                new("empty", 14, [Http, Echo, EchoUdp], []),
                new("closed", 15, [Http with { TargetPort = LabPod.ClosedPort }, EchoUdp with { TargetPort = LabPod.ClosedPort }], [web3]),
            ],
        };
    }
}
