using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;

namespace ClusterLb.EndToEnd.Tests.Steering;

/// <summary>What netlink tells of a node, and that it tells of changes.</summary>
public sealed class NodeNetworkTests
{
    [NamespaceFact]
    public void Addresses_come_with_the_one_of_the_default_route_first()
    {
        using var node = new SteeredNode();
        node.Ip("addr add 10.9.9.9/24 dev up1");
        node.Ip("addr add 192.0.2.77/32 dev lo");
        node.Ip("route add default via 10.9.9.1 dev up1");

        NodeNetwork network = node.Inside(NodeNetwork.Read);

        Assert.Equal(["10.9.9.9", "10.0.0.1", "fd00::1"], network.NodeAddresses("clb0").Select(a => a.ToString()));
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

        Assert.Equal(["10.0.0.1"], node.Inside(NodeNetwork.Read).NodeAddresses("clb0").Select(a => a.ToString()));
    }

    [NamespaceFact]
    public async Task Changes_of_addresses_rules_and_our_routes_are_told_apart_and_other_routes_ignored()
    {
        using var node = new SteeredNode();
        int network = 0;
        int steering = 0;
        using NodeNetworkWatch watch = node.Inside(() => new NodeNetworkWatch(
            new SteeringOptions(), () => Interlocked.Increment(ref network), () => Interlocked.Increment(ref steering)));

        node.Ip("route add 192.0.2.0/24 dev up0");
        node.Ip("-6 rule add pref 77 lookup main");
        await Eventually.IsAsync("the rule was told", () => Volatile.Read(ref steering) == 1); // one: the route in main was not
        Assert.Equal(0, Volatile.Read(ref network));

        node.Ip("route add 192.0.2.0/24 dev up0 table 200");
        await Eventually.IsAsync("the route was told", () => Volatile.Read(ref steering) == 2);
        node.Ip("link set up1 mtu 1300");
        await Eventually.IsAsync("the interface was told", () => Volatile.Read(ref network) > 0);
    }
}
