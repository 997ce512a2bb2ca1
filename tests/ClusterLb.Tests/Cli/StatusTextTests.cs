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
        var status = new StatusView("/run/clusterlb", agentHealthy is { } healthy ? Agent(healthy, syncError) : null, null, true, workers, 10, 0, [], null, null);
        using var text = new StringWriter();
        StatusText.Write(status, new Terminal { Out = text, Error = text, OpenEndless = () => text });

        Assert.StartsWith($"ClusterLb:  {want}\n", text.ToString(), StringComparison.Ordinal);
        Assert.Contains($"\nMaps:       {maps}\n", text.ToString(), StringComparison.Ordinal);
        Assert.Equal(want == "Ok", status.IsHealthy);
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
