using System.Collections.Immutable;
using ClusterLb.Agent;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent;

public sealed class SteeringPlanTests
{
    private static readonly SteeringInputs Node = new()
    {
        Device = "clb0",
        Options = new SteeringOptions(),
        Mtu = 1500,
        Ipv4 = new SteeringFamily { IsIpv6 = false, Source = IpAddr.Parse("10.0.0.1"), Destinations = [IpPrefix.Parse("10.96.0.0/12")] },
        Ipv6 = new SteeringFamily { IsIpv6 = true, Source = IpAddr.Parse("fd00::1"), Destinations = [IpPrefix.Parse("fd00:10:96::/108")] },
    };

    [Fact]
    public void The_rules_are_the_same_in_both_families_and_the_moved_local_rule_is_the_first()
    {
        SteeringPlan plan = SteeringPlan.For(Node);
        string[] want = ["100 lookup local", "10 iif clb0 goto 100", "20 fwmark 0x10000/0x10000 lookup 210", "40 lookup 200"];
        Assert.Equal(want, plan.RulesOfFamily[false]);
        Assert.Equal(want, plan.RulesOfFamily[true]);
    }

    [Fact]
    public void Every_destination_has_a_route_that_carries_and_one_that_refuses()
    {
        SteeringPlan plan = SteeringPlan.For(Node);
        Assert.Equal(
            [
                new PlannedRoute(200, "10.96.0.0/12 dev clb0 src 10.0.0.1 advmss 1460"),
                new PlannedRoute(200, "unreachable 10.96.0.0/12 metric 4000"),
                new PlannedRoute(210, "default dev clb0"),
                new PlannedRoute(210, "unreachable default metric 4000"),
            ],
            plan.RoutesOfFamily[false]);
        Assert.Equal(new PlannedRoute(200, "fd00:10:96::/108 dev clb0 src fd00::1 advmss 1440"), plan.RoutesOfFamily[true][0]);
    }

    [Fact]
    public void A_family_that_the_node_lacks_is_left_alone()
    {
        SteeringPlan plan = SteeringPlan.For(Node with { Ipv6 = null });
        Assert.Equal([false], plan.RulesOfFamily.Keys);
        Assert.DoesNotContain(plan.Settings, setting => setting.Name.Contains("ipv6", StringComparison.Ordinal));
    }

    [Fact]
    public void Without_a_source_address_the_routes_still_carry_what_is_forwarded() =>
        Assert.Equal(
            new PlannedRoute(200, "10.96.0.0/12 dev clb0 advmss 1460"),
            SteeringPlan.For(Node with { Ipv4 = Node.Ipv4! with { Source = null } }).RoutesOfFamily[false][0]);

    [Fact]
    public void Nft_is_one_transaction_that_replaces_the_table()
    {
        string nft = NftRuleset.Render(Node with { Ipv4 = Node.Ipv4! with { NodePorts = [(IpProtocol.Udp, 30053), (IpProtocol.Tcp, 30080)] } });
        Assert.StartsWith("table inet clb\ndelete table inet clb\ntable inet clb {\n", nft);
        Assert.Contains("elements = { tcp . 30080, udp . 30053 }", nft);
        Assert.Contains("ct direction reply ct mark & 0x10000 == 0x10000 meta mark set meta mark | 0x10000", nft);
        Assert.Contains("type nat hook postrouting priority srcnat - 10", nft);
    }

    [Fact]
    public void A_kernel_without_IPv6_is_given_no_IPv6_expression() =>
        Assert.DoesNotContain(
            NftRuleset.Render(Node with { KernelHasIpv6 = false }).Split('\n'),
            line => line.Contains("ip6", StringComparison.Ordinal) && !line.TrimStart().StartsWith('#'));

    [Fact]
    public void External_frontends_are_set_elements_and_never_routes()
    {
        ImmutableHashSet<FrontendKey> frontends =
        [
            new(IpAddr.Parse("192.0.2.10"), 80, IpProtocol.Tcp), new(IpAddr.Parse("10.96.7.7"), 80, IpProtocol.Tcp),
            new(IpAddr.Parse("10.0.0.1"), 443, IpProtocol.Tcp), new(IpAddr.Parse("10.0.0.1"), 53, IpProtocol.Udp),
            new(IpAddr.Parse("2001:db8::1"), 80, IpProtocol.Tcp), new(IpAddr.Parse("169.254.1.1"), 80, IpProtocol.Tcp),
            AddressMark.KeyOf(IpAddr.Parse("192.0.2.10")), AddressMark.KeyOf(IpAddr.Parse("10.96.7.8")), AddressMark.KeyOf(IpAddr.Parse("2001:db8::1")),
            FrontendKey.OfNodePort(30080, IpProtocol.Tcp, isIpv4: true), FrontendKey.OfNodePort(30081, IpProtocol.Tcp, isIpv4: false),
        ];
        var node = new NodeImage(
            new Dictionary<IpPrefix, NetworkFlags>
            {
                [IpPrefix.Parse("10.0.0.1/32")] = NetworkFlags.NodeAddress | NetworkFlags.NodePortAddress,
                [IpPrefix.Parse("10.0.0.2/32")] = NetworkFlags.NodeAddress,
            },
            NodeEntry.Default);

        SteeringFamily ipv4 = ExternalSteering.AddTo(Node.Ipv4!, frontends, node, isRestricted: true);

        Assert.Equal(["10.96.0.0/12"], ipv4.Destinations.Select(d => d.ToString()));
        Assert.Equal([(IpProtocol.Tcp, (ushort)30080)], ipv4.NodePorts);
        Assert.Equal(["10.0.0.1"], ipv4.NodePortAddresses!.Select(a => a.ToString()));
        string nft = NftRuleset.Render(Node with { Ipv4 = ipv4, LoopbackNodePorts = false });
        Assert.Contains("elements = { 10.0.0.1 . tcp . 443, 10.0.0.1 . udp . 53, 192.0.2.10 . tcp . 80 }", nft);
        Assert.Equal(["192.0.2.10"], ipv4.Pinged.Select(a => a.ToString())); // what is of a service range has its route
        Assert.Contains("icmp type echo-request ip daddr @pinged4 fib daddr type != local", nft);
        Assert.Contains("ip daddr @nodeaddresses4 meta l4proto . th dport @nodeports4", nft);
        Assert.Contains("# ct state new ip daddr 127.0.0.0/8", nft);
        Assert.Null(ExternalSteering.AddTo(Node.Ipv6!, frontends, node, isRestricted: false).NodePortAddresses);
    }

    [Theory]
    [InlineData("", "", false, false)]
    [InlineData("10.0.0.0/8", "", true, false)]
    [InlineData("10.0.0.0/8,0.0.0.0/0", "fd00::/8", false, true)]
    public void Node_ports_are_restricted_family_by_family(string ipv4, string ipv6, bool isIpv4Restricted, bool isIpv6Restricted)
    {
        var inputs = new NetworkInputs
        {
            NodePortRanges = [.. $"{ipv4},{ipv6}".Split(',', StringSplitOptions.RemoveEmptyEntries).Select(IpPrefix.Parse)],
        };
        Assert.Equal((isIpv4Restricted, isIpv6Restricted), (inputs.RestrictsNodePorts(isIpv4: true), inputs.RestrictsNodePorts(isIpv4: false)));
        Assert.True((inputs with { NodePortsOnPrimaryOnly = true }).RestrictsNodePorts(isIpv4: true));
    }

    [Theory]
    [InlineData("61000-65535,1024-29999", "1024 65535", "", false)] // the usual ones are cut to fit
    [InlineData("50000-50999", "32768 60999", "", true)]
    [InlineData("20000-20999,60000-61500", "32768 60999", "", true)]
    [InlineData("20000-20999,61000-61500", "32768 60999", "", false)]
    [InlineData("50000-50999", "32768 60999", "50000-50999", false)]
    public void Source_ports_must_be_outside_of_what_the_kernel_hands_out(string wanted, string ephemeral, string reserved, bool isProblem)
    {
        Assert.True(SnatPortRanges.TryParse(wanted, out SnatPortRanges ranges));
        int[] ends = [.. ephemeral.Split(' ').Select(int.Parse)];
        string? problem = Preflight.SnatPortProblem(ranges, (ends[0], ends[1]), reserved);

        Assert.Equal(isProblem, problem is not null);
        Assert.True(problem is null || (problem.Contains("net.ipv4.ip_local_port_range is 32768-60999", StringComparison.Ordinal) && problem.Contains(wanted, StringComparison.Ordinal)), problem);
    }

    [Theory]
    [InlineData("61000-65535,1024-29999", "32768 60999", "", "61000-65535,1024-29999")]
    [InlineData("61000-65535,1024-29999", "1024 65535", "", "61000-65535")] // the first range is reserved for us
    [InlineData("61000-65535,1024-29999", "1024 65535", "61000-65535", "61000-65535")]
    [InlineData("61000-65535,1024-29999", "10000 65535", "", "61000-65535,1024-9999")]
    [InlineData("61000-65535,1024-29999", "1 20000", "", "61000-65535,20001-29999")]
    [InlineData("61000-65535,1024-29999", "2000 3000", "", "61000-65535,3001-29999")] // the longest run, if it is in several pieces
    [InlineData("61000-65535,1024-29999", "1024 65535", "8080,20000-25000,61000-65535", "61000-65535,20000-25000")]
    [InlineData("61000-65535,1024-29999", "1024 29998", "", "61000-65535,29999-29999")]
    [InlineData("5000-5009", "1024 65535", "", "5000-5009")]
    public void Masqueraded_connections_get_no_port_that_the_kernel_gives_to_the_node_itself(string configured, string ephemeral, string reserved, string want)
    {
        Assert.True(SnatPortRanges.TryParse(configured, out SnatPortRanges ranges));
        int[] ends = [.. ephemeral.Split(' ').Select(int.Parse)];

        SnatPortRanges left = SourcePorts.Of(ranges, (ends[0], ends[1]), reserved);

        Assert.Equal(want, $"{left}");
        Assert.Null(SourcePorts.Taken(left, (ends[0], ends[1]), $"{reserved},{left.First}-{left.Last}"));
    }

    [Fact]
    public void Another_MTU_leaves_what_is_installed_in_place()
    {
        var options = new SteeringOptions();
        Assert.True(options.SteersAs(options with { Mtu = 9_000 }));
        Assert.False(options.SteersAs(options with { MarkTable = 300 }));
    }

    [Theory]
    [InlineData("", "100-200", "100-200")]
    [InlineData("8080,9000-9010", "100-200", "100-200,8080,9000-9010")]
    [InlineData("150-300", "100-200", "100-300")]
    public void Reserved_ports_are_added_to_what_is_there(string present, string added, string want)
    {
        PortRanges ports = PortRanges.Parse(present);
        int[] ends = [.. added.Split('-').Select(int.Parse)];
        ports.Set(ends[0], ends[1], true);
        Assert.Equal(want, ports.ToString());
        Assert.True(ports.Contains(ends[0], ends[1]));
    }
}
