using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Steering;

namespace ClusterLb.EndToEnd.Tests.Doctor;

/// <summary>With the agent dead nobody puts back what others take away: the doctor says what is gone.</summary>
public sealed class DamagedSteeringTests
{
    [NamespaceFact]
    public void Whatever_is_taken_away_from_steering_fails_a_check_that_names_it()
    {
        using var node = new SteeredNode();
        SteeringInputs inputs = node.Inputs with
        {
            BridgeNft = BridgeRuleset.Render(
                [new PodBridge("cni0", "02:00:00:00:00:07", IpPrefix.Parse("10.244.1.0/24"), BridgeFix.Routed)], node.Inputs.Options),
        };
        (Action Damage, string Check, string Text)[] damages =
        [
            (() => node.Ip("route flush table 200"), "steering", "the IPv4 route 10.96.0.0/12 dev clb0 src 10.0.0.1 advmss 1360 of table 200 is gone"),
            (() => node.Ip("-6 route flush table 200"), "steering", "the IPv6 route unreachable fd00:10:96::/108 metric 4000 of table 200 is gone"),
            (() => node.Ip("-6 route flush table 210"), "steering", "the IPv6 route default dev clb0 of table 210 is gone"),
            (() => node.Ip("route add 10.96.0.10 via 10.0.0.9 table 200"), "steering", "the IPv4 route 10.96.0.10/32 dev up0 of table 200 is none of ours"),
            (() => node.Ip("-6 rule del pref 20"), "steering", "the IPv6 rule '20 fwmark 0x10000/0x10000 lookup 210' is gone"),
            (() => node.Ip("rule add pref 0 lookup local"), "steering", "somebody put the IPv4 rule '0 lookup local' back before ours"),
            (() => node.Ip("link set clb0 down"), "steering", "the device clb0 is down"),
            (() => node.Nft("delete table inet clb"), "steering", "the nft table inet clb is gone"),
            (() => node.Nft("flush chain inet clb post"), "steering", "the nft table inet clb is not as it was loaded"),
            (() => node.Nft("delete table bridge clb"), "steering", "the nft table bridge clb is gone"),
            (() => node.SetSysctl("ipv4/conf/clb0/accept_local", "0"), "steering", "net/ipv4/conf/clb0/accept_local is 0 instead of 1"),
            (() => node.Ip("addr flush dev clb0"), "reverse path filter", "clb0 has lost its address 169.254.77.1/32"),
            (() => node.SetSysctl("ipv4/conf/clb0/rp_filter", "1"), "reverse path filter", "rp_filter is 1 on clb0"),
            (() => node.SetSysctl("ipv6/conf/all/forwarding", "0"), "forwarding", "net/ipv6/conf/all/forwarding is 0"),
        ];
        foreach ((Action damage, string check, string text) in damages)
        {
            Assert.NotEqual(0, node.Install(inputs)); // the first time, and after each damage
            Assert.Equal((CheckVerdict.Ok, check), (Look(node, check).Verdict, check));

            damage();

            CheckResult found = Look(node, check);
            Assert.Contains(text, found.Finding, StringComparison.Ordinal);
            Assert.Equal(CheckVerdict.Failed, found.Verdict);
        }
    }

    [NamespaceFact]
    public void A_flow_table_of_the_kernel_that_forgets_too_early_is_told()
    {
        using var node = new SteeredNode();
        node.Install();
        Assert.Equal(CheckVerdict.Ok, Look(node, "kernel conntrack").Verdict);

        node.SetSysctl("netfilter/nf_conntrack_tcp_loose", "0");

        CheckResult found = Look(node, "kernel conntrack");
        Assert.Equal(CheckVerdict.Warning, found.Verdict);
        Assert.Contains("nf_conntrack_tcp_loose is 0", found.Finding, StringComparison.Ordinal);
    }

    private static CheckResult Look(SteeredNode node, string name) => node.Inside(() => NodeDoctor.Run(
        NodeDoctor.Checks.Single(check => check.Name == name),
        new NodeFacts { StateDirectory = node.StateDirectory, Steering = new SteeringRecordFile(node.StateDirectory).Load() }));
}
