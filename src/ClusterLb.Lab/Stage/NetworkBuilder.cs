using System.Globalization;
using System.Text;

namespace ClusterLb.Lab.Stage;

/// <summary>Makes the namespaces of a lab and wires them, the way the AWS VPC CNI wires pods, or with a bridge per node.</summary>
/// <remarks>
/// A routed pod has one address of each family with the full prefix length on eth0, and a default route to an address that nobody
/// has: 169.254.1.1 and fe80::1 stand for the node by a permanent neighbour entry. The node has one route per pod.
/// Everything happens inside the namespaces: interfaces are born there, and no setting outside is touched.
/// </remarks>
internal sealed class NetworkBuilder(LabTopology topology, int mtu, Func<string, NetworkNamespace> namespaceOf)
{
    private const string PodGateway4 = "169.254.1.1";
    private const string PodGateway6 = "fe80::1";

    private readonly Dictionary<string, StringBuilder> _batches = new(StringComparer.Ordinal);
    private readonly StringBuilder _links = new();
    private int _nextMac = 1;

    /// <summary>Builds it all; what exists already is an error, so take an old lab down first.</summary>
    public void Build()
    {
        string[] names = [.. topology.NamespaceOwners];
        Batch(null, string.Concat(names.Select(n => $"netns add {namespaceOf(n).Name}\n")));
        foreach (string name in names)
        {
            PrepareKernel(name);
        }

        AddSwitch();
        AddClient();
        foreach (LabNode node in topology.Nodes)
        {
            AddNode(node);
        }

        foreach (LabPod pod in topology.Pods.Where(p => !p.HostNetwork))
        {
            AddPod(pod);
        }

        Batch(null, _links.ToString());
        foreach ((string name, StringBuilder commands) in _batches)
        {
            Batch(namespaceOf(name), commands.ToString());
        }

        WatchForLeaks();
    }

    private void PrepareKernel(string name)
    {
        NetworkNamespace ns = namespaceOf(name);
        bool forwards = name == LabTopology.SwitchName || topology.Nodes.Any(n => n.Name == name);
        (string, string)[] settings =
        [
            ("net.ipv6.conf.default.accept_dad", "0"), // addresses work at once
            ("net.ipv6.conf.default.accept_ra", "0"),
            ("net.ipv6.conf.default.router_solicitations", "0"),
            ("net.ipv4.icmp_ratelimit", "0"), // else the seventh refused datagram of a second is not told to its sender
            ("net.ipv6.icmp.ratelimit", "0"),
            ("net.ipv4.conf.all.rp_filter", "2"), // what systemd sets on a real node
            ("net.ipv4.conf.default.rp_filter", "2"),
            ("net.ipv4.ip_forward", forwards ? "1" : "0"),
            ("net.ipv6.conf.all.forwarding", forwards ? "1" : "0"),
        ];
        ns.Run(() =>
        {
            foreach ((string key, string value) in settings)
            {
                File.WriteAllText("/proc/sys/" + key.Replace('.', '/'), value);
            }

            return true;
        });
    }

    private void AddSwitch()
    {
        In(LabTopology.SwitchName,
            "link set lo up",
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            $"link set br0 mtu {mtu} up",
            $"addr add {LabTopology.NodeGateway4}/24 dev br0",
            $"addr add {LabTopology.NodeGateway6}/64 dev br0 nodad");
    }

    private void AddClient()
    {
        Link(LabTopology.ClientName, "eth0", LabTopology.SwitchName, LabTopology.ClientName);
        In(LabTopology.SwitchName,
            $"link set {LabTopology.ClientName} up",
            $"addr add 203.0.113.1/24 dev {LabTopology.ClientName}",
            $"addr add 2001:db8:113::1/64 dev {LabTopology.ClientName} nodad",
            // An external client reaches ClusterIPs through the first node, as on a network that routes to them.
            $"route add {LabTopology.ServiceCidr4} via {topology.Nodes[0].Ipv4}",
            $"route add {LabTopology.ServiceCidr6} via {topology.Nodes[0].Ipv6}");
        In(LabTopology.ClientName,
            "link set lo up",
            "link set eth0 up",
            $"addr add {LabTopology.ClientIpv4}/24 dev eth0",
            $"addr add {LabTopology.ClientIpv6}/64 dev eth0 nodad",
            "route add default via 203.0.113.1",
            "route add default via 2001:db8:113::1");
    }

    private void AddNode(LabNode node)
    {
        Link(node.Name, "eth0", LabTopology.SwitchName, node.Name);
        In(LabTopology.SwitchName,
            $"link set {node.Name} master br0 up",
            $"route add {node.PodCidr4} via {node.Ipv4}",
            $"route add {node.PodCidr6} via {node.Ipv6}");
        In(node.Name,
            "link set lo up",
            "link set eth0 up",
            $"addr add {node.Ipv4}/24 dev eth0",
            $"addr add {node.Ipv6}/64 dev eth0 nodad",
            $"route add default via {LabTopology.NodeGateway4}",
            $"route add default via {LabTopology.NodeGateway6}");
        if (node.IsBridged)
        {
            AddBridge(node);
        }

        foreach (LabNode other in topology.Nodes.Where(n => n != node))
        {
            In(node.Name,
                $"route add {other.PodCidr4} via {other.Ipv4}",
                $"route add {other.PodCidr6} via {other.Ipv6}");
        }
    }

    private void AddBridge(LabNode node)
    {
        string calls = node.Wiring == LabWiring.BridgedWithNetfilter ? "1" : "0";
        if (Directory.Exists("/proc/sys/net/bridge"))
        {
            namespaceOf(node.Name).SetSysctl("net.bridge.bridge-nf-call-iptables", calls);
            namespaceOf(node.Name).SetSysctl("net.bridge.bridge-nf-call-ip6tables", calls);
        }

        In(node.Name,
            $"link add {LabNode.Bridge} mtu {mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            $"link set {LabNode.Bridge} up",
            $"addr add {node.BridgeIpv4}/{node.PodCidr4.Length} dev {LabNode.Bridge}",
            $"addr add {node.BridgeIpv6}/{node.PodCidr6.Length} dev {LabNode.Bridge} nodad");
    }

    private void AddBridgedPod(LabPod pod)
    {
        Link(pod.Name, "eth0", pod.Node.Name, pod.NodeInterface);
        In(pod.Node.Name, $"link set {pod.NodeInterface} master {LabNode.Bridge} up");
        In(pod.Name,
            "link set lo up",
            "link set eth0 up",
            $"addr add {pod.Ipv4}/{pod.Node.PodCidr4.Length} dev eth0",
            $"addr add {pod.Ipv6}/{pod.Node.PodCidr6.Length} dev eth0 nodad",
            $"route add default via {pod.Node.BridgeIpv4}",
            $"route add default via {pod.Node.BridgeIpv6}");
    }

    private void AddPod(LabPod pod)
    {
        if (pod.Node.IsBridged)
        {
            AddBridgedPod(pod);
            return;
        }

        (string podMac, string nodeMac) = Link(pod.Name, "eth0", pod.Node.Name, pod.NodeInterface);
        In(pod.Node.Name,
            $"link set {pod.NodeInterface} up",
            $"route add {pod.Ipv4}/32 dev {pod.NodeInterface} scope link",
            $"route add {pod.Ipv6}/128 dev {pod.NodeInterface}",
            $"neigh replace {pod.Ipv4} lladdr {podMac} dev {pod.NodeInterface} nud permanent",
            $"neigh replace {pod.Ipv6} lladdr {podMac} dev {pod.NodeInterface} nud permanent");
        In(pod.Name,
            "link set lo up",
            "link set eth0 up",
            $"addr add {pod.Ipv4}/32 dev eth0",
            $"addr add {pod.Ipv6}/128 dev eth0 nodad",
            $"neigh replace {PodGateway4} lladdr {nodeMac} dev eth0 nud permanent",
            $"neigh replace {PodGateway6} lladdr {nodeMac} dev eth0 nud permanent",
            $"route add {PodGateway4} dev eth0 scope link",
            $"route add default via {PodGateway4} dev eth0",
            $"route add default via {PodGateway6} dev eth0");
    }

    /// <summary>Counts and drops what a node sends to a service address by its default route: there must be none.</summary>
    private void WatchForLeaks() =>
        Tool.Run("nsenter", [$"--net={namespaceOf(LabTopology.SwitchName).Path}", "nft", "-f", "-"],
            $$"""
            table inet watch {
              counter leaked { }
              chain leaks {
                type filter hook prerouting priority raw; policy accept;
                iifname "br0" ip daddr {{LabTopology.ServiceCidr4}} counter name leaked drop
                iifname "br0" ip6 daddr {{LabTopology.ServiceCidr6}} counter name leaked drop
              }
            }

            """);

    private (string InsideMac, string OutsideMac) Link(string inside, string insideDevice, string outside, string outsideDevice)
    {
        string insideMac = NextMac();
        string outsideMac = NextMac();
        _links.Append(CultureInfo.InvariantCulture,
            $"link add name {insideDevice} address {insideMac} mtu {mtu} netns {namespaceOf(inside).Name} type veth ");
        _links.Append(CultureInfo.InvariantCulture,
            $"peer name {outsideDevice} address {outsideMac} mtu {mtu} netns {namespaceOf(outside).Name}\n");
        return (insideMac, outsideMac);
    }

    private string NextMac()
    {
        int number = _nextMac++;
        return $"02:c1:0b:00:{number >> 8:x2}:{number & 0xFF:x2}"; // locally administered
    }

    private void In(string name, params ReadOnlySpan<string> commands)
    {
        if (!_batches.TryGetValue(name, out StringBuilder? batch))
        {
            _batches[name] = batch = new StringBuilder();
        }

        foreach (string command in commands)
        {
            batch.Append(command).Append('\n');
        }
    }

    private static void Batch(NetworkNamespace? ns, string commands) =>
        Tool.Run("ip", ns is null ? ["-batch", "-"] : ["-n", ns.Name, "-batch", "-"], commands);
}
