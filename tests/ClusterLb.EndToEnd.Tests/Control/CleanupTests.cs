using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>`clusterlb cleanup` leaves the node as it was found.</summary>
[Collection(BareLabCollection.Name)]
public sealed class CleanupTests(BareLabFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [LabTheory]
    [InlineData(false)] // the agent is asked to end first, as an operator would
    [InlineData(true)] // it was killed, with its dataplane
    public async Task Cleanup_leaves_the_node_as_it_was_found(bool killed)
    {
        AgentProcess agent = fixture.Lab.Agent("node-b");
        IReadOnlyList<string> before = NodeSnapshot.Take(agent.Namespace);
        await StartAsync(agent);
        Assert.Equal("", (await fixture.ConnectAsync("client-b", "web", ipv6: false, ConnectProtocol.Http)).Failure);
        Assert.NotEqual(before, NodeSnapshot.Take(agent.Namespace)); // or this test would prove nothing

        if (killed)
        {
            agent.Kill();
            agent.KillDataplane();
        }
        else
        {
            agent.Terminate();
        }

        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        ToolResult cleanup = fixture.Clusterlb("node-b", "cleanup");

        Assert.True(cleanup.ExitCode == 0, cleanup.Output + cleanup.Errors);
        Assert.False(Directory.Exists(agent.StateDirectory), cleanup.Output);
        await Eventually.IsAsync("the dataplane ended", () => agent.DataplaneProcessId == 0);
        IReadOnlyList<string> after = NodeSnapshot.Take(agent.Namespace);
        Assert.True(before.SequenceEqual(after),
            $"gone: {string.Join("\n      ", before.Except(after))}\nnew: {string.Join("\n     ", after.Except(before))}");
    }

    [LabFact]
    public async Task Cleanup_of_a_node_where_nothing_is_changes_nothing()
    {
        AgentProcess agent = fixture.Lab.Agent("node-b");
        IReadOnlyList<string> before = NodeSnapshot.Take(agent.Namespace);

        ToolResult cleanup = fixture.Clusterlb("node-b", "cleanup");

        Assert.True(cleanup.ExitCode == 0, cleanup.Output + cleanup.Errors);
        Assert.Equal(before, NodeSnapshot.Take(agent.Namespace));
        await Task.CompletedTask;
    }

    [LabTheory]
    [InlineData(false)] // the whole directory
    [InlineData(true)] // steering.json, and the dataplane with its device
    public async Task Cleanup_finds_what_a_lost_record_left_behind(bool withoutDevice)
    {
        AgentProcess agent = fixture.Lab.Agent("node-b");
        IReadOnlyList<string> before = WithoutSettings(NodeSnapshot.Take(agent.Namespace));
        await StartAsync(agent);
        await Eventually.IsAsync("the node is steered", () => fixture.Exec("node-b", "ip", "rule").Contains("clb0", StringComparison.Ordinal));

        agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        if (withoutDevice)
        {
            agent.KillDataplane();
            await Eventually.IsAsync("the dataplane ended", () => agent.DataplaneProcessId == 0);
            File.Delete(Path.Combine(agent.StateDirectory, "steering.json"));
        }
        else
        {
            Directory.Delete(agent.StateDirectory, recursive: true);
        }

        ToolResult cleanup = fixture.Clusterlb("node-b", "cleanup");

        Assert.True(cleanup.ExitCode == 0, cleanup.Output + cleanup.Errors);
        Assert.Contains("ip_forward", cleanup.Output, StringComparison.Ordinal);
        Assert.Equal(0, agent.DataplaneProcessId);
        IReadOnlyList<string> after = WithoutSettings(NodeSnapshot.Take(agent.Namespace));
        Assert.True(before.SequenceEqual(after),
            $"gone: {string.Join("\n      ", before.Except(after))}\nnew: {string.Join("\n     ", after.Except(before))}");
    }

    [LabFact]
    public async Task Cleanup_refuses_while_an_agent_runs_whose_directory_was_removed()
    {
        AgentProcess agent = fixture.Lab.Agent("node-b");
        await StartAsync(agent);
        await Eventually.IsAsync("the node is steered", () => fixture.Exec("node-b", "ip", "rule").Contains("clb0", StringComparison.Ordinal));
        Directory.Delete(agent.StateDirectory, recursive: true);

        ToolResult refused = fixture.Clusterlb("node-b", "cleanup");
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains($"{agent.ProcessId}", refused.Errors, StringComparison.Ordinal);

        agent.Kill();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        Assert.Equal(0, fixture.Clusterlb("node-b", "cleanup").ExitCode);
    }

    private static List<string> WithoutSettings(IEnumerable<string> snapshot) =>
        [.. snapshot.Where(line => !line.StartsWith("/proc/sys/", StringComparison.Ordinal))];

    internal static Task StartAsync(AgentProcess agent, string fields = "") =>
        StartAsync(agent, fields.Length > 0 ? new LabSettings(fields) : new LabSettings());

    internal static async Task StartAsync(AgentProcess agent, LabSettings settings)
    {
        agent.WriteConfig(mtu: 1500, settings);
        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);
    }
}
