using ClusterLb.Agent.Admin;
using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

/// <summary>The first line of <c>clusterlb status</c> says in a word how it is.</summary>
public sealed class StatusTextTests
{
    [Theory]
    [InlineData(true, "", 2, "Ok", "complete")]
    [InlineData(true, "Full: backends; 66 services are not served completely.", 2, "DEGRADED: traffic is served, but not of all services as it should be", "NOT complete")]
    [InlineData(false, "", 2, "DEGRADED: traffic is served, but the agent is not healthy", "complete")]
    [InlineData(false, "", 0, "DOWN: traffic is not served", "complete")]
    [InlineData(null, "", 2, "DEGRADED: traffic is served, but no agent follows changes", "complete")]
    [InlineData(null, "", 0, "DOWN: traffic is not served", "complete")]
    public void A_word_says_how_it_is(bool? agentHealthy, string syncError, int workers, string want, string maps)
    {
        var status = new StatusView("/run/clusterlb", agentHealthy is { } healthy ? Agent(healthy, syncError) : null, null, true, workers, 10, 0, 0, [], null, null, []);
        using var text = new StringWriter();
        StatusText.Write(status, new Terminal { Out = text, Error = text, OpenEndless = () => text });

        Assert.StartsWith($"ClusterLb:  {want}\n", text.ToString(), StringComparison.Ordinal);
        Assert.Contains($"\nMaps:       {maps}\n", text.ToString(), StringComparison.Ordinal);
        Assert.Equal(want == "Ok", status.IsHealthy);
    }

    [Fact]
    public void A_node_that_cannot_follow_the_API_server_is_degraded()
    {
        const string Why = "Cannot list endpointslices: 403, the permission to list endpointslices is missing.";
        AgentStatus agent = Agent(true, "");
        (StatusView status, string text) = Show(agent with
        {
            Sync = agent.Sync with { Server = new ServerStatus { Server = "10.0.0.1:6443", Connected = false, Since = default, LastError = Why } },
        });

        Assert.StartsWith("ClusterLb:  DEGRADED: what is known is served, but changes in the API server are not followed\n", text, StringComparison.Ordinal);
        Assert.Contains($"\nProblem:    {Why}\n", text, StringComparison.Ordinal);
        Assert.False(status.IsHealthy);
    }

    [Fact]
    public void A_node_that_is_being_drained_says_so_and_is_well()
    {
        (StatusView status, string text) = Show(Agent(true, "") with { NodeEligible = false });

        Assert.StartsWith("ClusterLb:  Ok; the node is being drained", text, StringComparison.Ordinal);
        Assert.Contains("\nNode:       node-a, is being drained\n", text, StringComparison.Ordinal);
        Assert.True(status.IsHealthy);
    }

    [Theory]
    [InlineData(true, "", " (guessed: configure serviceCIDRs)")]
    [InlineData(false, "ServiceCIDR objects", " (by ServiceCIDR objects)")]
    [InlineData(false, "", "")]
    public void Service_ranges_are_told_with_their_origin(bool guessed, string origin, string want)
    {
        AgentStatus agent = Agent(true, "");
        (_, string text) = Show(agent with
        {
            Steering = agent.Steering with { Mtu = 1500, Destinations = ["10.96.0.0/16"], DestinationsGuessed = guessed, DestinationsOrigin = origin },
        });

        Assert.Contains($"\nSteering:   installed on clb0 (MTU 1500): 10.96.0.0/16{want}\n", text, StringComparison.Ordinal);
    }

    private static (StatusView Status, string Text) Show(AgentStatus agent)
    {
        var status = new StatusView("/run/clusterlb", agent, null, true, 2, 10, 0, 0, [], null, null, []);
        return (status, CliRun.Text(terminal => StatusText.Write(status, terminal)));
    }

    private static AgentStatus Agent(bool healthy, string syncError) => new()
    {
        Version = "0.1.0",
        Pid = 1,
        StartedAt = DateTimeOffset.UnixEpoch,
        NodeName = "node-a",
        StateDirectory = "/run/clusterlb",
        Healthy = healthy,
        Sync = new SyncStatus { Source = "a test", Complete = true, LastError = syncError },
        Steering = new SteeringStatus { Installed = true, Device = "clb0" },
    };
}
