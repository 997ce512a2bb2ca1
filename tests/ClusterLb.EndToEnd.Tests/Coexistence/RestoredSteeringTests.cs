using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ClusterLb.Agent.Steering;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Whatever others take away of rules, routes, settings and tables comes back by itself, while traffic runs.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class RestoredSteeringTests(CoexistenceLabFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private const string Installed =
        "ip rule; ip -6 rule; for t in 200 210; do ip route show table $t; ip -6 route show table $t; done; ip addr show dev clb0; nft -s list table inet clb || true; " +
        "sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.clb0.rp_filter net.ipv4.conf.clb0.accept_local net.ipv4.conf.clb0.route_localnet";

    [LabTheory]
    [InlineData("nft flush ruleset")]
    [InlineData("for p in 10 20 40; do ip rule del pref $p; ip -6 rule del pref $p; done; ip rule add pref 0 lookup local; ip -6 rule add pref 0 lookup local; " +
        "for t in 200 210; do ip route flush table $t; ip -6 route flush table $t; done; ip addr flush dev clb0")]
    [InlineData("ip link set clb0 down")]
    [InlineData("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv4.conf.clb0.accept_local=0 net.ipv4.conf.clb0.rp_filter=1")]
    public async Task It_is_put_back_and_connections_that_wait_go_on(string damage)
    {
        if (Repairs() > RepairPace.Burst / 2)
        {
            await fixture.RestartAgentAsync(""); // or the tests of this class would be a fight
        }

        string before = fixture.OnNodeA(Installed);
        Socket[] idle = [.. await Task.WhenAll(new[] { false, true }.Select(OpenAsync))];
        await using CheckedStream busy4 = await CheckedStream.StartAsync(fixture.To("client-a", "on-node-b", ipv6: false, 7), udp: true, Patience);
        await using CheckedStream busy6 = await CheckedStream.StartAsync(fixture.To("client-a", "on-node-b", ipv6: true, 7), udp: true, Patience);

        fixture.OnNodeA(damage);

        await Eventually.IsAsync(() => $"steering is as it was:\n{before}\nnow:\n{fixture.OnNodeA(Installed)}", () => fixture.OnNodeA(Installed) == before);
        foreach (bool ipv6 in (bool[])[false, true])
        {
            await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
            await fixture.AnswersAsync("node-a", "on-node-b", ipv6, attempt => attempt.Answer?.Pod == "web-3");
            await fixture.AnswersAsync("client", "local-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
        }

        foreach (CheckedStream busy in (CheckedStream[])[busy4, busy6])
        {
            long answered = busy.Exchanges;
            await Eventually.IsAsync("datagrams are answered as before", () => busy.Exchanges > answered + 20);
        }

        foreach (Socket socket in idle)
        {
            await AskAsync(socket);
            socket.Dispose();
        }
    }

    [LabFact]
    public async Task Somebody_who_removes_it_again_and_again_is_told_of_and_gets_no_fight()
    {
        using Process vandal = Process.Start(new ProcessStartInfo(
            "nsenter", [$"--net={fixture.Lab.Namespace("node-a").Path}", "sh", "-c", "while :; do nft delete table inet clb 2>/dev/null; sleep 0.05; done"]))!;
        try
        {
            await Eventually.IsAsync("it is told", () => fixture.Clusterlb("node-a", "status").Output.Contains("somebody keeps removing our steering (nft table inet clb)", StringComparison.Ordinal));
            Assert.Contains(fixture.Check("steering").Verdict, (string[])["warning", "failed"]); // whoever was last
            Assert.Contains("\"Steering is contested\"", await File.ReadAllTextAsync(fixture.Lab.Agent("node-a").LogFile), StringComparison.Ordinal);
        }
        finally
        {
            vandal.Kill(entireProcessTree: true);
            await vandal.WaitForExitAsync();
        }

        await Eventually.IsAsync("the last word is ours", () => fixture.OnNodeA("nft list tables").Contains("inet clb", StringComparison.Ordinal));
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: false, attempt => attempt.Answer?.Pod == "web-1");
        await fixture.RestartAgentAsync(""); // which forgets the fight, for the tests that come
    }

    private long Repairs()
    {
        string status = fixture.Clusterlb("node-a", "status", "-o", "json").Output;
        using var json = System.Text.Json.JsonDocument.Parse(status);
        return json.RootElement.GetProperty("agent").GetProperty("steering").GetProperty("repairs").GetInt64();
    }

    private async Task<Socket> OpenAsync(bool ipv6)
    {
        Socket socket = await fixture.To("client-a", "on-node-a", ipv6, 7).ConnectTcpAsync(CancellationToken.None);
        await AskAsync(socket); // the greeting

        // The pod must not repeat what it said while its answers bypass us: the client acknowledges it some 40 ms later.
        string port = $":{((IPEndPoint)socket.LocalEndPoint!).Port}";
        string seen = "";
        await Eventually.IsAsync(() => $"all is acknowledged that web-1 has sent: {seen}", () =>
        {
            seen = fixture.Exec("web-1", "ss", "-tnH", "state", "established", "dport", "=", port);
            return seen.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, "0", ..]; // received and not read, sent and not acknowledged
        });
        return socket;
    }

    private static async Task AskAsync(Socket socket)
    {
        using var limit = new CancellationTokenSource(Patience);
        byte[] buffer = new byte[4096];
        await socket.SendAsync(Encoding.ASCII.GetBytes("ping\n"), limit.Token);
        Assert.True(await socket.ReceiveAsync(buffer, limit.Token) > 0);
    }
}
