using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The agent dies, and somebody removes or damages what it had written down: the next one takes over all the same.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class LostRecordTests(ChangingLabFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private AgentProcess Agent => fixture.Lab.Agent("node-a");

    [LabTheory]
    [InlineData("steering.json")]
    [InlineData("config.json")]
    [InlineData("steering.json", "config.json", "agent.lock", "admin.sock")]
    public async Task A_lost_record_costs_nothing(params string[] files) =>
        await LoseAsync(() => Array.ForEach(files, file => File.Delete(PathOf(file))), sameDataplane: true);

    [LabTheory]
    [InlineData("steering.json")]
    [InlineData("config.json")]
    public async Task A_damaged_record_is_set_aside_and_costs_nothing(string file)
    {
        await LoseAsync(() => File.WriteAllText(PathOf(file), "{\"half\": "), sameDataplane: true);

        Assert.True(File.Exists(PathOf(file + ".bad")));
        Assert.Contains("was damaged and is now", Agent.LogTail(100), StringComparison.Ordinal);
    }

    [LabFact]
    public async Task A_dataplane_whose_sockets_are_gone_is_followed_by_another_that_adopts_its_flows() =>
        await LoseAsync(
            () => Array.ForEach(["dataplane.sock", "dataplane.sock.successor"], file => File.Delete(PathOf(file))), sameDataplane: false);

    [LabFact]
    public async Task A_state_directory_that_was_removed_is_made_anew_and_services_are_served()
    {
        await EndAgentAsync();
        Directory.Delete(Agent.StateDirectory, recursive: true);

        await StartAgentAsync();

        foreach (bool ipv6 in (bool[])[false, true])
        {
            Assert.Equal("", (await fixture.ConnectAsync("client-a", "web", ipv6, ConnectProtocol.Http)).Failure);
        }
    }

    [LabTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task State_of_another_version_is_set_aside_with_one_line_for_maps_and_one_for_flows_and_services_are_served(bool dataplaneLives)
    {
        await EndAgentAsync();
        await Eventually.IsAsync("what shall be gone is gone", () =>
        {
            if (!dataplaneLives)
            {
                Agent.KillDataplaneAndSuccessor();
            }

            return dataplaneLives || (Agent.DataplaneProcessId == 0 && Agent.SuccessorProcessId == 0);
        });
        string[] files = [.. ((string[])["maps", "flows"]).SelectMany(folder => Directory.EnumerateFiles(PathOf(folder)))
            .Where(file => !Path.GetFileName(file).Contains('.', StringComparison.Ordinal))];
        string[] asideBefore = FilesSetAside();
        Array.ForEach(files, file => OtherVersion.SetLayout(file));
        int linesBefore = File.ReadAllLines(Agent.LogFile).Length;

        await StartAgentAsync();

        string[] lines = [.. File.ReadAllLines(Agent.LogFile).Skip(linesBefore).Where(line => line.Contains("could not be used", StringComparison.Ordinal))];
        Assert.Equal(2, lines.Length);
        Assert.Contains("maps/services4.bad-", Assert.Single(lines, line => line.Contains("Maps could not be used", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("flows/conntrack4.bad-", Assert.Single(lines, line => line.Contains("Flow tables could not be used", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.All(lines, line => Assert.Contains($"its layout {OtherVersion.UnknownLayout} is not known", line, StringComparison.Ordinal));
        Assert.NotEqual(asideBefore, FilesSetAside());
        foreach (bool ipv6 in (bool[])[false, true])
        {
            Assert.Equal("", (await fixture.ConnectAsync("client-a", "web", ipv6, ConnectProtocol.Http)).Failure);
        }
    }

    private string[] FilesSetAside() =>
        [.. Directory.EnumerateFiles(Agent.StateDirectory, "*.bad-*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private async Task LoseAsync(Action lose, bool sameDataplane)
    {
        int dataplane = Agent.DataplaneProcessId;
        CheckedStream[] streams =
        [
            await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6: false, 7), udp: false, Patience),
            await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6: true, 7), udp: false, Patience),
        ];
        await EndAgentAsync();
        lose();

        await StartAgentAsync();

        Assert.Equal(sameDataplane, Agent.DataplaneProcessId == dataplane);
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(50)));
        foreach (CheckedStream stream in streams)
        {
            Assert.Equal("", (await stream.StopAsync()).Failure);
            await stream.DisposeAsync();
        }
    }

    private async Task EndAgentAsync()
    {
        await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
        Agent.Kill();
        await Eventually.IsAsync("the agent is gone", () => Agent.ProcessId == 0);
    }

    private async Task StartAgentAsync()
    {
        Agent.Start();
        await Agent.WaitUntilHealthyAsync(Patience);
    }

    private string PathOf(string file) => Path.Combine(Agent.StateDirectory, file);
}
