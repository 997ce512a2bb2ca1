using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>Bridges of pods as the agent sees them: found, followed, shown, and what is configured about them.</summary>
[Collection(BridgedLabCollection.Name)]
public sealed class BridgeTests(BridgedLabFixture fixture)
{
    [LabFact]
    public void Status_and_doctor_say_which_fix_is_used()
    {
        string onA = BridgeNetfilterFactAttribute.HasIt ? "connection mark" : "routed instead of switched";

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

    [BridgeNetfilterFact]
    public async Task Switching_br_netfilter_is_followed()
    {
        foreach ((string value, string rule) in new[] { ("0", "ip daddr 10.244.1.0/24"), ("1", "meta mark") })
        {
            fixture.Lab.Namespace("node-a").SetSysctl("net.bridge.bridge-nf-call-iptables", value);
            await Eventually.IsAsync($"the fix for {value}", () =>
                fixture.Exec("node-a", "nft", "list", "table", "bridge", "clb").Split('\n')
                    .Any(line => line.Contains("ip saddr 10.244.1.0/24", StringComparison.Ordinal) && line.Contains(rule, StringComparison.Ordinal)));

            Attempt attempt = await Connector.OnceAsync(
                fixture.To("client-a", "on-node-a", ipv6: false, ConnectProtocol.Http), ConnectProtocol.Http, TimeSpan.FromSeconds(20));
            Assert.Equal("", attempt.Failure);
            Assert.Equal(attempt.LocalAddress, attempt.Answer!.Client);
        }
    }
}
