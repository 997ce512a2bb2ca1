using System.Collections.Immutable;
using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;

namespace ClusterLb.Tests.Agent;

/// <summary>Which bridges have pods, and what is done about each: pure, so that kernels we do not have are tried, too.</summary>
public sealed class PodBridgeTests
{
    private static readonly IpPrefix[] PodRanges = [IpPrefix.Parse("10.244.0.0/16"), IpPrefix.Parse("fd10:244::/48")];

    [Fact]
    public void A_bridge_with_an_address_among_the_pods_is_found_once_per_family()
    {
        NodeNetwork network = Network(
            [Bridge(2, "cni0"), Bridge(3, "docker0"), new NetworkInterface(4, "veth1", 1500, false, true) { Kind = "veth", MasterIndex = 2 }],
            [Address(2, "10.244.1.1", 24), Address(2, "fd10:244:0:1::1", 64), Address(2, "fe80::1", 64, isLinkLocal: true), Address(3, "172.17.0.1", 16)]);

        ImmutableArray<PodBridge> found = Find(network, PodRanges, calls4: true, calls6: true);

        Assert.Equal(
            ["cni0 10.244.1.0/24 ConnectionMark", "cni0 fd10:244:0:1::/64 ConnectionMark"],
            found.Select(b => $"{b.Name} {b.Subnet} {b.Fix}"));
    }

    [Fact]
    public void Without_known_pod_ranges_every_bridge_with_ports_and_addresses_counts()
    {
        NodeNetwork network = Network(
            [Bridge(2, "cni0"), Bridge(3, "empty"), new NetworkInterface(4, "veth1", 1500, false, true) { Kind = "veth", MasterIndex = 2 }],
            [Address(2, "10.9.1.1", 24), Address(3, "10.9.2.1", 24)]);

        Assert.Equal(["cni0 ConnectionMark"], Find(network, [], calls4: true, calls6: true).Select(b => $"{b.Name} {b.Fix}"));
        Assert.Equal(["cni0 Masquerade"], Find(network, [], calls4: false, calls6: false).Select(b => $"{b.Name} {b.Fix}")); // they may be no pods
    }

    [Theory]
    [InlineData(true, true, true, BridgeFix.ConnectionMark, BridgeFix.ConnectionMark)]
    [InlineData(true, false, true, BridgeFix.ConnectionMark, BridgeFix.Routed)] // each family by itself
    [InlineData(false, false, true, BridgeFix.Routed, BridgeFix.Routed)]
    [InlineData(true, true, false, BridgeFix.Masquerade, BridgeFix.Masquerade)] // a kernel without nft's bridge family
    public void The_cheapest_fix_is_chosen_that_the_node_allows(bool calls4, bool calls6, bool canTakeUp, BridgeFix ipv4, BridgeFix ipv6)
    {
        NodeNetwork network = Network([Bridge(2, "cni0")], [Address(2, "10.244.1.1", 24), Address(2, "fd10:244:0:1::1", 64)]);

        Assert.Equal([ipv4, ipv6], Find(network, PodRanges, calls4, calls6, canTakeUp: canTakeUp).Select(b => b.Fix));
    }

    [Fact]
    public void A_bridge_may_have_br_netfilter_by_its_own_setting()
    {
        NodeNetwork network = Network(
            [Bridge(2, "cni0") with { CallsIptables = true }, Bridge(3, "cni1")], [Address(2, "10.244.1.1", 24), Address(3, "10.244.2.1", 24)]);

        Assert.Equal([BridgeFix.ConnectionMark, BridgeFix.Routed], Find(network, PodRanges, calls4: false, calls6: false).Select(b => b.Fix));
    }

    [Fact]
    public void What_is_configured_beats_what_is_found_out()
    {
        NodeNetwork network = Network([Bridge(2, "cni0")], [Address(2, "10.244.1.1", 24)]);

        Assert.Equal(
            [BridgeFix.Masquerade],
            PodBridge.Find(network, PodRanges, callsIptables: true, callsIp6tables: true, BridgeFix.Masquerade, () => true).Select(b => b.Fix));
    }

    [Fact]
    public void The_kernel_is_asked_only_where_there_is_such_a_bridge() =>
        Assert.Empty(PodBridge.Find(
            Network([Bridge(2, "docker0")], [Address(2, "172.17.0.1", 16)]), PodRanges, true, true, chosen: null, () => throw new InvalidOperationException("asked")));

    [Fact]
    public void By_connection_mark_what_carries_the_mark_is_taken_up()
    {
        string nft = BridgeRuleset.Render([Pods("10.244.1.0/24", BridgeFix.ConnectionMark), Pods("fd10:244:0:1::/64", BridgeFix.ConnectionMark)], new SteeringOptions());

        Assert.StartsWith("table bridge clb\ndelete table bridge clb\ntable bridge clb {\n", nft, StringComparison.Ordinal);
        Assert.Equal(
            [
                "ip saddr 10.244.1.0/24 meta mark & 0x10000 == 0x10000 ether daddr set 02:00:00:00:00:07 meta pkttype set host",
                "ip6 saddr fd10:244:0:1::/64 meta mark & 0x10000 == 0x10000 ether daddr set 02:00:00:00:00:07 meta pkttype set host",
            ],
            Rules(nft));
        Assert.Contains("type filter hook prerouting priority 10;", nft, StringComparison.Ordinal);
    }

    [Fact]
    public void Routed_is_what_is_between_two_of_the_pods_but_nothing_that_is_about_the_link()
    {
        string nft = BridgeRuleset.Render([Pods("10.244.1.0/24", BridgeFix.Routed), Pods("fd10:244:0:1::/64", BridgeFix.Routed)], new SteeringOptions());

        const string Unicast = "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00";
        const string TakeUp = "ether daddr set 02:00:00:00:00:07 meta pkttype set host";
        Assert.Equal(
            [
                $"ip saddr 10.244.1.0/24 ip daddr 10.244.1.0/24 {Unicast} meta l4proto {{ tcp, udp, sctp, icmp }} {TakeUp}",
                $"ip6 saddr fd10:244:0:1::/64 ip6 daddr fd10:244:0:1::/64 {Unicast} meta l4proto {{ tcp, udp, sctp }} {TakeUp}",
                $"ip6 saddr fd10:244:0:1::/64 ip6 daddr fd10:244:0:1::/64 {Unicast} icmpv6 type {{ 1-4, 128, 129 }} {TakeUp}", // not 133 to 137
                "ip daddr 10.244.1.0/24 icmp type redirect drop",
                "ip6 daddr fd10:244:0:1::/64 icmpv6 type nd-redirect drop",
            ],
            Rules(nft));
    }

    [Fact]
    public void Where_services_are_masqueraded_there_is_no_table() =>
        Assert.Equal("", BridgeRuleset.Render([Pods("10.244.1.0/24", BridgeFix.Masquerade)], new SteeringOptions()));

    private static ImmutableArray<PodBridge> Find(NodeNetwork network, IpPrefix[] ranges, bool calls4, bool calls6, bool canTakeUp = true) =>
        PodBridge.Find(network, ranges, calls4, calls6, chosen: null, () => canTakeUp);

    private static IEnumerable<string> Rules(string nft) =>
        nft.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("ip ", StringComparison.Ordinal) || line.StartsWith("ip6 ", StringComparison.Ordinal));

    private static PodBridge Pods(string subnet, BridgeFix fix) => new("cni0", "02:00:00:00:00:07", IpPrefix.Parse(subnet), fix);

    private static NetworkInterface Bridge(int index, string name) =>
        new(index, name, 1500, false, true) { Kind = "bridge", HardwareAddress = $"02:00:00:00:00:{index:x2}" };

    private static InterfaceAddress Address(int index, string address, int length, bool isLinkLocal = false) =>
        new(index, IpAddr.Parse(address), true, isLinkLocal, length);

    private static NodeNetwork Network(NetworkInterface[] interfaces, InterfaceAddress[] addresses) => new([.. interfaces], [.. addresses], [], []);
}
