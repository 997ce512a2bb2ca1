using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The agent is started again with tables of other sizes: connections go on, and so do those that began afterwards.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class ChangedSizesTests(ChangingLabFixture fixture) : IAsyncLifetime
{
    private const string Before = "conntrack: {ipv4: 65536, ipv6: 65536}";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private string _configuration = "";

    private AgentProcess Agent => fixture.Lab.Agent("node-a");

    public Task InitializeAsync()
    {
        _configuration = LabNeeds.Reason is null ? File.ReadAllText(Agent.ConfigFile) : "";
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        if (LabNeeds.Reason is null)
        {
            await RestartAsync(_configuration);
        }
    }

    [LabTheory]
    [InlineData("conntrack: {ipv4: 65536, ipv6: 65536, affinity: 1024, fragments: 256}")]
    [InlineData("conntrack: {ipv4: 131072, ipv6: 1024}")] // fewer than before, but all that there are fit
    public async Task Connections_from_before_and_after_outlive_the_dataplane(string sizes)
    {
        Assert.Contains(Before, _configuration, StringComparison.Ordinal);
        List<CheckedStream> streams = await StartStreamsAsync();

        await RestartAsync(_configuration.Replace(Before, sizes, StringComparison.Ordinal));
        streams.AddRange(await StartStreamsAsync());
        await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
        int successor = Agent.SuccessorProcessId;
        Agent.KillDataplane();
        await Eventually.IsAsync("the successor serves", () => Agent.DataplaneProcessId == successor);

        await Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(50)));
        foreach (CheckedStream stream in streams)
        {
            StreamReport report = await stream.StopAsync();
            await stream.DisposeAsync();
            Assert.Equal("", report.Failure);
        }

        // Every connection has one flow, and it is known by name: the tables that are read are those that are written.
        string flows = fixture.Clusterlb("node-a", "bpf", "ct", "list").Output;
        Assert.All(streams, stream => Assert.Contains(stream.Client, flows, StringComparison.Ordinal));
    }

    private async Task<List<CheckedStream>> StartStreamsAsync()
    {
        var streams = new List<CheckedStream>();
        foreach ((bool udp, bool ipv6) in (IEnumerable<(bool, bool)>)[(false, false), (false, true), (true, false), (true, true)])
        {
            streams.Add(await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6, 7), udp, Patience));
        }

        await Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(20)));
        return streams;
    }

    private async Task RestartAsync(string configuration)
    {
        File.WriteAllText(Agent.ConfigFile, configuration);
        Agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => Agent.ProcessId == 0);
        Agent.Start();
        await Agent.WaitUntilHealthyAsync(Patience);
    }
}
