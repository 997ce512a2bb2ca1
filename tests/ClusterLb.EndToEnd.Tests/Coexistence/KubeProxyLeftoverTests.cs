using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Rules that a kube-proxy left behind come first: services that they know go where they say, until they are removed.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class KubeProxyLeftoverTests(CoexistenceLabFixture fixture) : IDisposable
{
    // As its iptables mode writes them, cut down to one service with one endpoint: on-node-a's address leads to web-2, where our map says web-1.
    private const string Iptables =
        """
        *nat
        :KUBE-MARK-MASQ - [0:0]
        :KUBE-NODEPORTS - [0:0]
        :KUBE-POSTROUTING - [0:0]
        :KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]
        :KUBE-SERVICES - [0:0]
        :KUBE-SVC-BBBBBBBBBBBBBBBB - [0:0]
        :CNI-HOSTPORT - [0:0]
        -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        -A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        -A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
        -A PREROUTING -m comment --comment "of another" -j CNI-HOSTPORT
        -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
        -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
        -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
        -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
        -A KUBE-SEP-AAAAAAAAAAAAAAAA -s 10.244.1.13/32 -m comment --comment "default/on-node-a:http" -j KUBE-MARK-MASQ
        -A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m comment --comment "default/on-node-a:http" -m tcp -j DNAT --to-destination 10.244.1.13:8080
        -A KUBE-SERVICES -d 10.96.0.11/32 -p tcp -m comment --comment "default/on-node-a:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-BBBBBBBBBBBBBBBB
        -A KUBE-SERVICES -m comment --comment "kubernetes service nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
        -A KUBE-SVC-BBBBBBBBBBBBBBBB -m comment --comment "default/on-node-a:http" -j KUBE-SEP-AAAAAAAAAAAAAAAA
        COMMIT
        *filter
        :KUBE-FIREWALL - [0:0]
        :KUBE-FORWARD - [0:0]
        -A INPUT -j KUBE-FIREWALL
        -A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
        -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
        COMMIT
        """;

    public void Dispose()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA("for t in nat filter; do iptables -t $t -F; iptables -t $t -X; done; nft delete table ip kube-proxy 2>/dev/null || true");
        }
    }

    [LabFact]
    public async Task Services_known_to_both_are_served_by_the_leftovers_until_cleanup_removes_them()
    {
        string[] before = Rules();
        fixture.OnNodeA($"iptables-restore --noflush <<'EOF'\n{Iptables}\nEOF");

        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: false, attempt => attempt.Answer?.Pod == "web-2"); // theirs
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: true, attempt => attempt.Answer?.Pod == "web-1"); // unknown to them
        await fixture.AnswersAsync("client-a", "on-node-b", ipv6: false, attempt => attempt.Answer?.Pod == "web-3");
        (string verdict, string text) = fixture.Check("kube-proxy");
        Assert.Equal("failed", verdict);
        Assert.Contains("1 rules that translate a service", text, StringComparison.Ordinal);
        Assert.Contains("clusterlb cleanup --kube-proxy", text, StringComparison.Ordinal);

        ToolResult cleanup = fixture.Clusterlb("node-a", "cleanup", "--kube-proxy");

        Assert.True(cleanup.ExitCode == 0, cleanup.Errors);
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: false, attempt => attempt.Answer?.Pod == "web-1");
        Assert.Equal("ok", fixture.Check("kube-proxy").Verdict);
        Assert.Equal(
            ["-A INPUT -j KUBE-FIREWALL", "-A PREROUTING -m comment --comment \"of another\" -j CNI-HOSTPORT", ":CNI-HOSTPORT - ", ":KUBE-FIREWALL - "],
            Rules().Except(before).Order(StringComparer.Ordinal));
    }

    [LabFact]
    public async Task The_tables_of_its_nftables_mode_are_removed_too()
    {
        fixture.OnNodeA("nft 'table ip kube-proxy { chain services { type nat hook prerouting priority dstnat; ip daddr 10.96.0.11 tcp dport 80 dnat to 10.244.1.13:8080; }; }'");
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: false, attempt => attempt.Answer?.Pod == "web-2");
        Assert.Equal("failed", fixture.Check("kube-proxy").Verdict);

        Assert.Contains("nft table ip kube-proxy", fixture.Clusterlb("node-a", "cleanup", "--kube-proxy").Output, StringComparison.Ordinal);

        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: false, attempt => attempt.Answer?.Pod == "web-1");
    }

    // Rules, and chains without their counters; not those that iptables has by itself.
    private string[] Rules() =>
    [
        .. fixture.OnNodeA("iptables-save").Split('\n').Where(line => line.StartsWith("-A", StringComparison.Ordinal) || line.Contains(" - [", StringComparison.Ordinal))
            .Select(line => line.Split('[')[0]),
    ];
}
