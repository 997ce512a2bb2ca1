using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>NetworkPolicy that others enforce on pods' interfaces, with iptables rules as Calico writes them: what holds, and what does not.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class NetworkPolicyTests(CoexistenceLabFixture fixture) : IDisposable
{
    // The pods' interfaces are called eni-…, not cali…; sets of addresses are written out.
    private const string Chains =
        """
        *filter
        :cali-FORWARD - [0:0]
        :cali-from-wl-dispatch - [0:0]
        :cali-to-wl-dispatch - [0:0]
        :cali-fw-eni-client-a - [0:0]
        :cali-po-egress - [0:0]
        :cali-tw-eni-web-1 - [0:0]
        :cali-pi-ingress - [0:0]
        -A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
        -A FORWARD -m comment --comment "Policy explicitly accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
        -A cali-FORWARD -j MARK --set-xmark 0x0/0xe0000
        -A cali-FORWARD -i eni+ -j cali-from-wl-dispatch
        -A cali-FORWARD -o eni+ -j cali-to-wl-dispatch
        COMMIT
        """;

    // As Calico has them for each pod: WORKLOAD and POLICY are names of chains.
    private const string Workload =
        """
        -A WORKLOAD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        -A WORKLOAD -m conntrack --ctstate INVALID -j DROP
        -A WORKLOAD -j MARK --set-xmark 0x0/0x10000
        -A WORKLOAD -m comment --comment "Start of policies" -j MARK --set-xmark 0x0/0x20000
        -A WORKLOAD -m mark --mark 0x0/0x20000 -j POLICY
        -A WORKLOAD -m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 -j RETURN
        -A WORKLOAD -m comment --comment "Drop if no policies passed packet" -j DROP

        """;

    private const string DispatchEgress = "-A cali-from-wl-dispatch -i eni-client-a -g cali-fw-eni-client-a\n";
    private const string DispatchIngress = "-A cali-to-wl-dispatch -o eni-web-1 -g cali-tw-eni-web-1\n";
    private const string Allow = "-j MARK --set-xmark 0x10000/0x10000\n";
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(700);

    // What a policy says of addresses: IPv4 or IPv6, pods of node-a by their last number.
    private static string Pod(int number, bool ipv6) => ipv6 ? $"fd10:244:0:1::{number}" : $"10.244.1.{number}";

    public void Dispose()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA(
                "for t in iptables ip6tables; do $t -F; $t -X; done; " +
                "for d in eni-client-a clb0; do tc qdisc del dev $d clsact 2>/dev/null || true; done; " +
                "ip link del clbin 2>/dev/null || true; nft delete table inet redirected 2>/dev/null || true");
        }
    }

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_policy_on_what_a_pod_receives_holds_for_its_services_too(bool ipv6)
    {
        Load(ipv6, DispatchIngress + Policy("cali-tw-eni-web-1", "cali-pi-ingress", $"-s {Pod(11, ipv6)} -p tcp -m tcp --dport 8080 {Allow}"));

        await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
        Assert.Equal("timeout", await FailureAsync("web-2", "on-node-a", ipv6)); // a pod that it does not name
        Assert.Equal("timeout", await FailureAsync("client-b", "on-node-a", ipv6)); // of another node, by its own dataplane
        Assert.Equal("ok", fixture.Check("network policy").Verdict);
    }

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_policy_on_what_a_pod_sends_sees_the_service_and_not_the_pod(bool ipv6)
    {
        Load(ipv6, DispatchEgress + Policy("cali-fw-eni-client-a", "cali-po-egress", $"-d {Pod(12, ipv6)} -p tcp -m tcp --dport 8080 {Allow}"));

        Assert.Equal("timeout", await FailureAsync("client-a", "on-node-a", ipv6)); // whose only backend is allowed
        (string verdict, string text) = fixture.Check("network policy");
        Assert.Equal("warning", verdict);
        Assert.Contains("Calico has 1 chains with egress policies", text, StringComparison.Ordinal);

        // The way out, and its price: with the service range allowed, backends that the policy does not name are reached as well.
        LoadRules(ipv6, $"-I cali-po-egress -d {(ipv6 ? LabTopology.ServiceCidr6 : LabTopology.ServiceCidr4)} {Allow}");
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
        await fixture.AnswersAsync("client-a", "on-node-b", ipv6, attempt => attempt.Answer?.Pod == "web-3");
    }

    /// <summary>docs/design/network-policy.md: the first leg comes in by another device, the second by the pod's own.</summary>
    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task With_two_redirects_per_pod_it_sees_the_pod(bool ipv6)
    {
        Load(ipv6, DispatchEgress + Policy("cali-fw-eni-client-a", "cali-po-egress", $"-d {Pod(12, ipv6)} -p tcp -m tcp --dport 8080 {Allow}"));
        string services = $"{(ipv6 ? LabTopology.ServiceCidr6 : LabTopology.ServiceCidr4)}";
        (string protocol, string match, string length) = ipv6 ? ("ipv6", "ip6", "128") : ("ip", "ip", "32");
        fixture.OnNodeA(
            $"""
            ip link add clbin type veth peer name clbpeer
            ip link set clbpeer up
            ip link set clbin up
            ip addr add 169.254.77.2/32 scope link dev clbin
            echo 2 > /proc/sys/net/ipv4/conf/clbin/rp_filter
            tc qdisc add dev eni-client-a clsact
            tc filter add dev eni-client-a ingress protocol {protocol} u32 match {match} dst {services} action mirred ingress redirect dev clbin
            tc qdisc add dev clb0 clsact
            tc filter add dev clb0 ingress protocol {protocol} u32 match {match} src {Pod(11, ipv6)}/{length} action mirred ingress redirect dev eni-client-a
            """);
        fixture.OnNodeA(
            """
            nft -f - <<'EOF'
            table inet redirected {
              chain pre {
                type filter hook prerouting priority dstnat + 4;
                iifname eni-client-a ether saddr != 00:00:00:00:00:00 return
                iifname eni-client-a ct state new ct mark set ct mark | 0x10000
              }
            }
            EOF
            """);

        await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1" && attempt.Answer.Client == attempt.LocalAddress);
        Assert.Equal("timeout", await FailureAsync("client-a", "on-node-b", ipv6)); // a backend that the policy does not name
        await fixture.AnswersAsync("web-2", "on-node-b", ipv6, attempt => attempt.Answer?.Pod == "web-3"); // a pod without a policy
    }

    private static string Policy(string workload, string policy, string rules) =>
        Workload.Replace("WORKLOAD", workload, StringComparison.Ordinal).Replace("POLICY", policy, StringComparison.Ordinal) + $"-A {policy} {rules}";

    private void Load(bool ipv6, string rules)
    {
        fixture.OnNodeA($"{Restore(ipv6)} <<'EOF'\n{Chains}\nEOF");
        LoadRules(ipv6, rules);
    }

    private void LoadRules(bool ipv6, string rules) => fixture.OnNodeA($"{Restore(ipv6)} <<'EOF'\n*filter\n{rules}COMMIT\nEOF");

    private static string Restore(bool ipv6) => ipv6 ? "ip6tables-restore --noflush" : "iptables-restore --noflush";

    private async Task<string> FailureAsync(string from, string service, bool ipv6) =>
        (await Connector.OnceAsync(fixture.To(from, service, ipv6, 80), ConnectProtocol.Http, Short)).Failure;
}
