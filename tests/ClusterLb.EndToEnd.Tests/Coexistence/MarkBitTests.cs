using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Bits of marks that others use: told, and others can be chosen. Strict reverse path filters of others: no matter.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class MarkBitTests(CoexistenceLabFixture fixture) : IAsyncLifetime
{
    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA("for t in iptables ip6tables; do $t -t mangle -F; done; sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.all.src_valid_mark=0");
            await fixture.RestartAgentAsync("");
        }
    }

    [LabFact]
    public async Task Somebody_who_clears_our_bits_is_told_and_other_bits_bring_traffic_back()
    {
        // After our chains, of all packets: nothing comes back to us any more.
        fixture.OnNodeA("for t in iptables ip6tables; do $t -t mangle -A POSTROUTING -j CONNMARK --set-xmark 0x0/0x30000; done");
        await Eventually.IsAsync("replies are lost", async () => (await fixture.ConnectAsync("client-a", "on-node-a", ipv6: false, ConnectProtocol.Http)).Failure.Length > 0);
        (string verdict, string text) = fixture.Check("mark bits");
        Assert.Equal("failed", verdict);
        Assert.Contains("iptables mangle POSTROUTING writes 0x30000 of the connection mark", text, StringComparison.Ordinal);
        Assert.Contains("steering.replyMark: 0x40000, steering.originalMark: 0x80000", text, StringComparison.Ordinal);

        await fixture.RestartAgentAsync("steering: {replyMark: 0x40000, originalMark: 0x80000}\n");

        foreach (bool ipv6 in (bool[])[false, true])
        {
            await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
            await fixture.AnswersAsync("client", "local-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
        }

        Assert.Equal("ok", fixture.Check("mark bits").Verdict);
    }

    [LabFact]
    public async Task Strict_reverse_path_filters_on_all_other_interfaces_change_nothing()
    {
        fixture.OnNodeA("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do case $f in */clb0/*) ;; *) echo 1 > $f ;; esac; done; sysctl -qw net.ipv4.conf.all.src_valid_mark=1");

        foreach ((string from, string service) in ((string, string)[])[("client-a", "on-node-a"), ("client-a", "on-node-b"), ("node-a", "on-node-a"), ("client", "local-a"), ("web-1", "on-node-a")])
        {
            foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
            {
                Assert.Equal("", (await Connector.OnceAsync(fixture.Reach(from, service, ipv6: false, protocol), protocol, LabFixture.Timeout)).Failure);
            }
        }

        Assert.Equal("ok", fixture.Check("reverse path filter").Verdict);
    }
}
