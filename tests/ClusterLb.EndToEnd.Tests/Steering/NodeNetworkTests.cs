using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;

namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>What netlink tells of a node, and that it tells of changes.</summary>
public sealed class NodeNetworkTests
{
    [NamespaceFact]
    public void A_bridge_is_known_with_its_ports_and_its_settings()
    {
        using var node = new SteeredNode();
        node.Ip("link add cni0 address 02:00:00:00:00:07 type bridge nf_call_iptables 1");
        node.Ip("link add pod1 type veth peer pod2");
        node.Ip("link set pod1 master cni0");
        node.Ip("link set cni0 up");
        node.Ip("addr add 10.244.1.1/24 dev cni0");
        NodeNetwork network = node.Inside(() => NodeNetwork.Read());

        NetworkInterface bridge = network.Interfaces.Single(link => link.Name == "cni0");
        Assert.Equal(("bridge", "02:00:00:00:00:07", 0), (bridge.Kind, bridge.HardwareAddress, bridge.MasterIndex));
        Assert.Equal((true, false), (bridge.CallsIptables, bridge.CallsIp6tables));
        NetworkInterface port = network.Interfaces.Single(link => link.Name == "pod1");
        Assert.Equal(("veth", bridge.Index), (port.Kind, port.MasterIndex));
        Assert.Equal(24, network.Addresses.Single(address => address.InterfaceIndex == bridge.Index).PrefixLength);
    }

    [NamespaceFact]
    public void Addresses_come_with_the_one_of_the_default_route_first()
    {
        using var node = new SteeredNode();
        node.Ip("addr add 10.9.9.9/24 dev up1");
        node.Ip("addr add 192.0.2.77/32 dev lo");
        node.Ip("route add default via 10.9.9.1 dev up1");

        NodeNetwork network = node.Inside(() => NodeNetwork.Read());

        Assert.Equal(["10.9.9.9", "10.0.0.1", "fd00::1", "192.0.2.77"], network.NodeAddresses("clb0").Select(a => a.ToString()));
        Assert.Equal(1400, network.MtuOf(IpAddr.Parse("10.0.0.1")));
        Assert.Equal(0, network.MtuOf(IpAddr.Parse("10.1.1.1")));
    }

    [NamespaceFact]
    public void Tentative_deprecated_and_link_local_addresses_are_nobodys()
    {
        using var node = new SteeredNode(ipv6: false);
        node.Ip("addr add fe80::5/64 dev up0 nodad");
        node.Ip("addr add fd00::7/64 dev up0 nodad preferred_lft 0");
        node.Ip("addr add 169.254.1.1/32 scope link dev up0");

        Assert.Equal(["10.0.0.1"], node.Inside(() => NodeNetwork.Read()).NodeAddresses("clb0").Select(a => a.ToString()));
    }

    [NamespaceFact]
    public async Task Changes_of_addresses_rules_and_our_routes_are_told_apart_and_other_routes_ignored()
    {
        using var node = new SteeredNode();
        int network = 0;
        int steering = 0;
        int lost = 0;
        using NodeNetworkWatch watch = node.Inside(() => new NodeNetworkWatch(
            new SteeringOptions(), () => Interlocked.Increment(ref network), () => Interlocked.Increment(ref steering), () => Interlocked.Increment(ref lost)));

        node.Ip("route add 192.0.2.0/24 dev up0");
        node.Ip("-6 rule add pref 77 lookup main");
        await Eventually.IsAsync("the rule was told", () => Volatile.Read(ref steering) == 1); // one: the route in main was not
        Assert.Equal(0, Volatile.Read(ref network));

        node.Ip("route add 192.0.2.0/24 dev up0 table 200");
        await Eventually.IsAsync("the route was told", () => Volatile.Read(ref steering) == 2);
        Assert.Equal(0, Volatile.Read(ref lost));
        node.Ip("route del 192.0.2.0/24 dev up0 table 200");
        await Eventually.IsAsync("the loss was told", () => Volatile.Read(ref lost) == 1);
        node.SetSysctl("ipv4/conf/up1/forwarding", "1"); // of one interface: nobody's business
        node.SetSysctl("ipv4/ip_forward", "1");
        await Eventually.IsAsync("the setting was told", () => Volatile.Read(ref lost) == 2);
        node.Ip("link set up1 mtu 1300");
        await Eventually.IsAsync("the interface was told", () => Volatile.Read(ref network) > 0);
    }

    [NamespaceFact]
    public async Task Who_is_behind_an_interface_is_known_by_its_routes_and_followed()
    {
        using var node = new SteeredNode();
        node.Ip("link add cni0 type bridge");
        node.Ip("link set cni0 up");
        node.Ip("addr add 10.244.1.1/24 dev cni0");
        node.Ip("-6 addr add fd00:244:1::1/64 dev cni0 nodad");
        node.Ip("route add 10.244.9.7/32 dev up1");
        node.Ip("route add 192.0.2.0/24 dev up1 table 77");
        node.Ip("route add default dev up1");

        Assert.Equal(["10.244.1.0/24", "fd00:244:1::/64"], Behind(node, name => name == "cni0"));
        Assert.Equal(["10.244.9.7/32"], Behind(node, name => name == "up1").Where(p => p.EndsWith("/32", StringComparison.Ordinal)));
        Assert.DoesNotContain("192.0.2.0/24", Behind(node, name => name.StartsWith("up", StringComparison.Ordinal)));
        Assert.Empty(node.Inside(() => NodeNetwork.Read()).Routes); // unless asked for

        int told = 0;
        using NodeNetworkWatch watch = node.Inside(() => new NodeNetworkWatch(
            new SteeringOptions(), () => Interlocked.Increment(ref told), () => { }, () => { }, followsMainTable: true));
        node.Ip("route add 10.244.1.9/32 dev up0");
        await Eventually.IsAsync("the route was told", () => Volatile.Read(ref told) > 0);
    }

    private static string[] Behind(SteeredNode node, Func<string, bool> isMeant) =>
        [.. node.Inside(() => NodeNetwork.Read(withRoutes: true)).Behind(isMeant).Select(prefix => prefix.ToString())];
}
