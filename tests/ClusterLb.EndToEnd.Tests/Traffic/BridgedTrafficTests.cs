using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Pods that are ports of a Linux bridge, which would switch answers to a neighbour past the node (TCP and UDP, IPv4 and IPv6).
/// On node-a switched packets pass the node's rules (br_netfilter), on node-b they do not.</summary>
[Collection(BridgedLabCollection.Name)]
public sealed class BridgedTrafficTests(BridgedLabFixture fixture) : IDisposable
{
    private const string Own = "own address and port";
    private const string NodeA = "address of node-a";

    /// <summary>From, service, who answers, which client address is seen.</summary>
    public static TheoryData<string, string, string, string> Paths => new()
    {
        { "client-a", "on-node-a", "web-1", Own }, // client and backend on one bridge
        { "client-b", "on-node-b", "web-3", Own },
        { "web-1", "on-node-a", "web-1", NodeA }, // hairpin
        { "client-a", "on-node-b", "web-3", Own },
        { "client-b", "on-node-a", "web-1", Own },
        { "node-a", "on-node-a", "web-1", Own },
        { "client-a", "on-host-a", "host-a", Own },
        { "client", "on-node-a", "web-1", NodeA },
    };

    public void Dispose() => fixture.AssertNoDamage();

    [LabTheory, MemberData(nameof(Paths))]
    public async Task A_service_is_answered_by_its_backend(string from, string service, string pod, string client)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                Attempt attempt = await Connector.OnceAsync(fixture.To(from, service, ipv6, protocol), protocol, TimeSpan.FromSeconds(10));

                string what = $"{from} to {service}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}";
                Assert.True(attempt.Failure == "", $"{what}: {attempt.Failure} after {attempt.Elapsed.TotalMilliseconds:0} ms");
                Assert.Equal(pod, attempt.Answer!.Pod);
                LabNode node = fixture.Topology.Node("node-a");
                string seen = attempt.Answer.Client;
                bool right = client == Own
                    ? seen == attempt.LocalAddress
                    : System.Net.IPEndPoint.Parse(seen).Address.ToString() == (ipv6 ? node.Ipv6 : node.Ipv4).ToString();
                Assert.True(right, $"{what}: the backend sees {seen}, but should see the {client} ({attempt.LocalAddress})");
            }
        }
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a")]
    [InlineData("client-b", "on-node-b")]
    public async Task Much_data_and_large_datagrams_pass_between_neighbours(string from, string service)
    {
        foreach (bool ipv6 in (bool[])[false, true])
        {
            StreamReport report = await BulkTransfer.RunAsync(fixture.To(from, service, ipv6, 7), 5_000_000, TimeSpan.FromSeconds(30));
            Assert.Equal("", report.Failure);
            Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To(from, service, ipv6, 7), 9_000));
        }
    }

    [LabTheory]
    [InlineData("client-a", "web-1")]
    [InlineData("client-b", "web-3")]
    public async Task Neighbours_that_talk_to_each_other_directly_are_not_disturbed(string from, string pod)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                LabPod to = fixture.Topology.Pod(pod);
                int port = protocol == ConnectProtocol.Http ? LabPod.HttpPort : LabPod.EchoPort;
                Attempt attempt = await Connector.OnceAsync(
                    TrafficTarget.Of(fixture.Lab, from, ipv6 ? to.Ipv6 : to.Ipv4, port), protocol, TimeSpan.FromSeconds(10));

                Assert.True(attempt.Failure == "", $"{from} to {pod}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}: {attempt.Failure}");
                Assert.Equal(attempt.LocalAddress, attempt.Answer!.Client);
            }
        }
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task A_neighbour_that_listens_no_more_is_heard_of(bool ipv6)
    {
        Attempt attempt = await Connector.OnceAsync(fixture.To("client-b", "closed", ipv6, 7), ConnectProtocol.Udp, TimeSpan.FromSeconds(10));

        Assert.Equal("refused", attempt.Failure);
    }

    [LabFact]
    public void Status_and_doctor_say_which_fix_is_used()
    {
        string onA = HasNetfilter ? "connection mark" : "routed instead of switched";

        Assert.Contains(onA, fixture.Clusterlb("node-a", "status").Output, StringComparison.Ordinal);
        Assert.Contains("routed instead of switched", fixture.Clusterlb("node-b", "status").Output, StringComparison.Ordinal);
        Assert.Contains(onA, fixture.Clusterlb("node-a", "doctor").Output, StringComparison.Ordinal);
        Assert.Contains("modprobe br_netfilter", fixture.Clusterlb("node-b", "doctor").Output, StringComparison.Ordinal);
    }

    [LabFact]
    public async Task A_bridge_that_comes_and_goes_is_followed()
    {
        string Rules() => fixture.Exec("node-b", "nft", "list", "table", "bridge", "clb");
        Assert.DoesNotContain("10.244.77.0/24", Rules(), StringComparison.Ordinal);

        fixture.Exec("node-b", "ip", "link", "add", "cni1", "type", "bridge");
        fixture.Exec("node-b", "ip", "addr", "add", "10.244.77.1/24", "dev", "cni1");
        fixture.Exec("node-b", "ip", "link", "set", "cni1", "up");
        await Eventually.IsAsync("its pods are taken up", () => Rules().Contains("10.244.77.0/24", StringComparison.Ordinal));

        fixture.Exec("node-b", "ip", "link", "set", "cni1", "address", "02:00:00:00:77:01");
        await Eventually.IsAsync("it has another address", () => Rules().Contains("02:00:00:00:77:01", StringComparison.Ordinal));

        fixture.Exec("node-b", "ip", "link", "del", "cni1");
        await Eventually.IsAsync("nothing of it is left", () => !Rules().Contains("10.244.77.0/24", StringComparison.Ordinal));
    }

    [LabFact]
    public async Task Neighbours_are_masqueraded_where_that_is_chosen_and_told_apart_again_where_it_is_not()
    {
        AgentProcess agent = fixture.Lab.Agent("node-b");
        string configuration = File.ReadAllText(agent.ConfigFile);
        await RestartAsync(configuration + "steering: {bridgedPods: masquerade}\n");
        try
        {
            await SeesAsync("172.31.0.12", ipv6: false);
            await SeesAsync("fd31::12", ipv6: true);
            Assert.DoesNotContain("table bridge", fixture.Exec("node-b", "nft", "list", "ruleset"), StringComparison.Ordinal);
            Assert.Contains("masqueraded between pods", fixture.Clusterlb("node-b", "doctor").Output, StringComparison.Ordinal);
        }
        finally
        {
            await RestartAsync(configuration);
        }

        await SeesAsync($"{fixture.Topology.Pod("client-b").Ipv4}", ipv6: false);

        // A new agent takes over, and steers a moment after it is healthy.
        async Task SeesAsync(string client, bool ipv6) => await Eventually.IsAsync($"web-3 sees {client}", async () =>
        {
            Attempt attempt = await Connector.OnceAsync(
                fixture.To("client-b", "on-node-b", ipv6, ConnectProtocol.Http), ConnectProtocol.Http, TimeSpan.FromSeconds(1));
            return attempt.Answer is { } answer && System.Net.IPEndPoint.Parse(answer.Client).Address.ToString() == client;
        });

        async Task RestartAsync(string text)
        {
            agent.Terminate();
            await Eventually.IsAsync("the agent has ended", () => agent.ProcessId == 0);
            File.WriteAllText(agent.ConfigFile, text);
            agent.Start();
            await agent.WaitUntilHealthyAsync(TimeSpan.FromSeconds(30));
        }
    }

    private static bool HasNetfilter => Directory.Exists("/proc/sys/net/bridge");
}
