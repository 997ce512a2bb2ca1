using System.Text.Json;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The agent of another version takes a node over, and hands its packets over to its own dataplane (docs/reliability.md).</summary>
[Collection(ExposedLabCollection.Name)]
public sealed class UpgradeTests(ExposedLabFixture fixture, ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private AgentProcess Agent => fixture.Lab.Agent("node-a");

    [LabFact]
    public async Task An_upgrade_and_the_way_back_lose_no_connection_and_no_packet()
    {
        IReadOnlyList<string> own = Agent.Program;
        string configuration = File.ReadAllText(Agent.ConfigFile);
        using NextProgram next = NextProgram.Of(own);

        // Of a copy the dataplane is as good as the one that serves: then tables of another size are the reason to hand over.
        string nextConfiguration = next.IsOtherVersion ? configuration : configuration.Replace("ipv4: 65536", "ipv4: 131072", StringComparison.Ordinal);
        List<CheckedStream> streams =
        [
            .. await fixture.StartStreamsFromEverywhereAsync(udp: false, Patience),
            .. await fixture.StartStreamsFromEverywhereAsync(udp: true, Patience),
        ];
        var datagrams = new List<NumberedDatagrams>();
        foreach (TrafficTarget target in fixture.FromEverywhere())
        {
            datagrams.Add(await NumberedDatagrams.StartAsync(target));
        }

        await GoOnAsync(streams);
        await ReplaceAsync(next.Command, nextConfiguration);
        await GoOnAsync(streams);
        try
        {
            await AssertNewConnectionsAsync();
        }
        finally
        {
            await ReplaceAsync(own, configuration); // as a rollback does
        }

        await GoOnAsync(streams);
        long missing = 0;
        foreach (NumberedDatagrams flow in datagrams)
        {
            missing += await flow.StopAsync();
            await flow.DisposeAsync();
        }

        double gap = 0;
        foreach (CheckedStream stream in streams)
        {
            StreamReport end = await stream.StopAsync();
            await stream.DisposeAsync();
            Assert.Equal("", end.Failure); // what is lost of datagrams is counted below, those included that are late
            gap = Math.Max(gap, end.LongestGapMs);
        }

        string report = $"{missing} of {datagrams.Sum(flow => flow.Sent)} datagrams lost, longest silence {gap} ms";
        output.WriteLine(report);
        Assert.True(missing == 0, report);
        fixture.AssertNoDamage();
    }

    private async Task ReplaceAsync(IReadOnlyList<string> program, string configuration)
    {
        await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
        int dataplane = Agent.DataplaneProcessId;
        Agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => Agent.ProcessId == 0);
        Assert.Equal(dataplane, Agent.DataplaneProcessId);

        File.WriteAllText(Agent.ConfigFile, configuration);
        Agent.StartProgram(program);
        await Agent.WaitUntilHealthyAsync(Patience);

        Assert.NotEqual(dataplane, Agent.DataplaneProcessId);
        await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
        Assert.All([Agent.ProcessId, Agent.DataplaneProcessId, Agent.SuccessorProcessId], pid =>
            Assert.Contains(program[^1], File.ReadAllText($"/proc/{pid}/cmdline").Split('\0')));
        string version = VersionOf(program);
        using JsonDocument status = JsonDocument.Parse(fixture.Clusterlb("node-a", "status", "-o", "json").Output);
        JsonElement agent = status.RootElement.GetProperty("agent");
        Assert.Equal(version, agent.GetProperty("version").GetString());
        Assert.Equal(version, agent.GetProperty("dataplane").GetProperty("version").GetString());
    }

    private static string VersionOf(IReadOnlyList<string> program)
    {
        using JsonDocument version = JsonDocument.Parse(Tool.Run(program[0], [.. program.Skip(1), "version", "-o", "json"]));
        return version.RootElement.GetProperty("version").GetString()!;
    }

    private async Task AssertNewConnectionsAsync()
    {
        foreach (TrafficTarget target in fixture.FromEverywhere())
        {
            Attempt attempt = await Connector.OnceAsync(target, ConnectProtocol.Tcp, Patience);
            Assert.Equal("", attempt.Failure);
        }
    }

    private static Task GoOnAsync(List<CheckedStream> streams) => Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(50)));
}
