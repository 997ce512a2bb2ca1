using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.Doctor.Checks;
using ClusterLb.Agent.Firewall;

namespace ClusterLb.Tests.Agent.Doctor;

/// <summary>What the doctor says about rules of others, as their programs write them.</summary>
public sealed class CoexistenceCheckTests
{
    [Theory]
    [InlineData(":FORWARD ACCEPT [0:0]", "", CheckVerdict.Ok)]
    [InlineData(":FORWARD DROP [0:0]", "", CheckVerdict.Failed)]
    [InlineData(":FORWARD DROP [0:0]", "-A FORWARD -i clb0 -j ACCEPT\n-A FORWARD -o clb0 -j ACCEPT", CheckVerdict.Ok)]
    [InlineData(":FORWARD DROP [0:0]", "-A FORWARD -i clb0 -j ACCEPT", CheckVerdict.Failed)] // one leg of two
    [InlineData(":FORWARD DROP [0:0]", "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", CheckVerdict.Failed)]
    [InlineData(":FORWARD DROP [0:0]", "-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD -d 10.244.0.0/16 -j ACCEPT", CheckVerdict.Warning)] // flannel
    [InlineData(":FORWARD ACCEPT [0:0]", "-A FORWARD -j REJECT --reject-with icmp-host-prohibited", CheckVerdict.Failed)]
    [InlineData(":FORWARD ACCEPT [0:0]", "-A FORWARD -j REJECT\n-A FORWARD -i clb0 -j ACCEPT\n-A FORWARD -o clb0 -j ACCEPT", CheckVerdict.Failed)] // too late
    public void A_forward_chain_that_drops_must_accept_the_device(string chain, string rules, CheckVerdict want)
    {
        Finding finding = new ForwardPolicyCheck().Look(Node($"*filter\n{chain}\n{rules}\nCOMMIT\n"));

        Assert.Equal(want, finding.Verdict);
        Assert.Equal(want == CheckVerdict.Ok, finding.Advice.Length == 0);
    }

    [Fact]
    public void A_chain_of_nft_that_drops_gets_an_advice_of_its_own()
    {
        var chain = new FirewallChain { Program = "nft", Family = "inet", Table = "filter", Name = "forward", Hook = "forward", Policy = "drop" };

        Finding finding = new ForwardPolicyCheck().Look(Node([chain]));

        Assert.Equal(CheckVerdict.Failed, finding.Verdict);
        Assert.Contains("nft insert rule inet filter forward iifname clb0 accept", finding.Advice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-A PREROUTING -j MARK --set-xmark 0x4000/0x4000", CheckVerdict.Ok, "others use 0x4000")]
    [InlineData("-A PREROUTING -m mark --mark 0x10000/0x10000 -j ACCEPT", CheckVerdict.Warning, "looks at 0x10000 of the packet mark")]
    [InlineData("-A PREROUTING -j MARK --set-xmark 0x0/0xf0000", CheckVerdict.Warning, "writes 0xf0000 of the packet mark")]
    [InlineData("-A PREROUTING -j MARK --set-xmark 0x20000/0x20000", CheckVerdict.Ok, "others use 0x20000")] // ours is of the connection
    [InlineData("-A PREROUTING -j CONNMARK --set-xmark 0x20000/0x20000", CheckVerdict.Failed, "writes 0x20000 of the connection mark")]
    [InlineData("-A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", CheckVerdict.Failed, "writes all bits of the connection mark")]
    [InlineData("-A PREROUTING -i eni+ -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80", CheckVerdict.Ok, "others use 0x80")] // AWS VPC CNI
    public void Bits_of_marks_that_others_use_are_told(string rule, CheckVerdict want, string words)
    {
        Finding finding = new MarkBitsCheck().Look(Node($"*mangle\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"));

        Assert.Equal(want, finding.Verdict);
        Assert.Contains(words, finding.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("inet")]
    [InlineData("bridge")] // only where pods are ports of one
    public void Our_own_tables_are_nobody_elses(string family)
    {
        var own = new FirewallChain
        {
            Program = "nft",
            Family = family,
            Table = "clb",
            Name = "pre",
            Hook = "prerouting",
            Rules = [new FirewallRule { Text = "", Marks = [new MarkUse(true, 0x10000, true)] }],
        };

        Assert.Equal(CheckVerdict.Ok, new MarkBitsCheck().Look(Node([own])).Verdict);
    }

    [Fact]
    public void Free_bits_are_named()
    {
        Finding finding = new MarkBitsCheck().Look(Node("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x0/0xf0000\nCOMMIT\n"));

        Assert.Contains("steering.replyMark: 0x100000, steering.originalMark: 0x200000", finding.Advice, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100, CheckVerdict.Ok)]
    [InlineData(90, CheckVerdict.Failed)] // at the same priority the order is that of loading
    [InlineData(50, CheckVerdict.Failed)]
    public void Masquerading_that_comes_before_ours_is_told(int priority, CheckVerdict want)
    {
        var jumps = new FirewallChain
        {
            Program = "nft",
            Family = "inet",
            Table = "cni",
            Name = "post",
            Hook = "postrouting",
            Priority = priority,
            Rules = [new FirewallRule { Text = "", Target = "masq" }],
        };
        FirewallChain masquerades = jumps with { Name = "masq", Hook = "", Rules = [new FirewallRule { Text = "", Target = "masquerade" }] };

        Assert.Equal(want, new MasqueradeCheck().Look(Node([jumps, masquerades])).Verdict);
    }

    [Theory]
    [InlineData(":KUBE-FIREWALL - [0:0]\n:KUBE-KUBELET-CANARY - [0:0]", CheckVerdict.Ok)] // kubelet's
    [InlineData(":KUBE-SERVICES - [0:0]\n:KUBE-PROXY-CANARY - [0:0]", CheckVerdict.Warning)]
    [InlineData(":KUBE-SEP-ABC - [0:0]\n-A KUBE-SEP-ABC -p tcp -m tcp -j DNAT --to-destination 10.244.1.5:8080", CheckVerdict.Failed)]
    public void Rules_that_kube_proxy_left_are_told(string chains, CheckVerdict want)
    {
        Finding finding = new KubeProxyCheck().Look(Node($"*nat\n{chains}\nCOMMIT\n"));

        Assert.Equal(want, finding.Verdict);
    }

    [Theory]
    [InlineData(":cali-FORWARD - [0:0]\n:cali-fw-cali12 - [0:0]\n-A cali-fw-cali12 -j cali-pro-kns.default", CheckVerdict.Ok)]
    [InlineData(":cali-fw-cali12 - [0:0]\n-A cali-fw-cali12 -m mark --mark 0x0/0x20000 -j cali-po-_x", CheckVerdict.Warning)]
    [InlineData(":cali-tw-cali12 - [0:0]\n-A cali-tw-cali12 -m mark --mark 0x0/0x20000 -j cali-pi-_x", CheckVerdict.Ok)] // ingress holds
    [InlineData(":FORWARD ACCEPT [0:0]", CheckVerdict.Ok)]
    public void Egress_policies_on_pods_interfaces_are_told(string chains, CheckVerdict want) =>
        Assert.Equal(want, new NetworkPolicyCheck().Look(Node($"*filter\n{chains}\nCOMMIT\n")).Verdict);

    [Fact]
    public void Egress_policies_in_Calicos_nftables_are_told_too_and_another_enforcer_hides_none()
    {
        FirewallChain weave = new() { Program = "iptables", Family = "ip", Table = "filter", Name = "WEAVE-NPC" };
        FirewallChain calico = new()
        {
            Program = "nft",
            Family = "ip",
            Table = "calico",
            Name = "filter-cali-fw-cali12",
            Rules = [new FirewallRule { Text = "", Target = "filter-cali-po-_x" }],
        };

        Assert.Contains("Calico has 1 chains", new NetworkPolicyCheck().Look(Node([weave, calico])).Text, StringComparison.Ordinal);
        Assert.Equal(CheckVerdict.Ok, new NetworkPolicyCheck().Look(Node([weave, calico with { Rules = [] }])).Verdict);
    }

    private static NodeFacts Node(string iptables) => Node(IptablesSave.Parse("iptables", iptables));

    private static NodeFacts Node(IReadOnlyList<FirewallChain> chains) => new() { StateDirectory = "/run/clusterlb-of-nobody", Firewall = chains };
}
