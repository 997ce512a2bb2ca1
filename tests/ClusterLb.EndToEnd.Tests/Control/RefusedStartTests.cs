using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>An agent that cannot start says why in one line, has a bad exit status, and leaves nothing behind.</summary>
[Collection(BareLabCollection.Name)]
public sealed class RefusedStartTests(BareLabFixture fixture)
{
    [LabFact]
    public void A_taken_device_name()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        fixture.Exec("node-a", "ip", "link", "add", "clb0", "type", "veth", "peer", "name", "other");
        try
        {
            AssertRefused(agent, "clb0", AgentOnNodeA);
        }
        finally
        {
            fixture.Exec("node-a", "ip", "link", "del", "clb0");
        }
    }

    [LabFact]
    public void A_missing_manifest_directory() =>
        AssertRefused(fixture.Lab.Agent("node-a"), "/nowhere/manifests",
            ["agent", "--config", fixture.Lab.Agent("node-a").ConfigFile, "--manifests", "/nowhere/manifests"]);

    [LabFact]
    public void Missing_rights() => Assert.Equal(
        "clusterlb agent: The agent needs CAP_NET_ADMIN in its network namespace: run it as root, or give the container NET_ADMIN.\n",
        AssertRefused(fixture.Lab.Agent("node-a"), "CAP_NET_ADMIN", AgentOnNodeA, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"));

    [LabFact]
    public void A_missing_tool()
    {
        string path = Directory.CreateDirectory(Path.Combine(fixture.Lab.Folder, "path")).FullName;
        string[] folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        string[] others = ["ip", "setpriv", .. fixture.Lab.Program.Take(1).Where(program => !program.Contains('/', StringComparison.Ordinal))];
        foreach (string tool in others)
        {
            File.CreateSymbolicLink(Path.Combine(path, tool), folders.Select(folder => Path.Combine(folder, tool)).First(File.Exists));
        }

        string said = AssertRefused(fixture.Lab.Agent("node-a"), "nft", AgentOnNodeA, "env", $"PATH={path}");

        Directory.Delete(path, recursive: true);
        Assert.Equal("clusterlb agent: The program 'nft' is not in PATH: install the package nftables.\n", said);
    }

    [LabFact]
    public void A_state_directory_of_another_version()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        Directory.CreateDirectory(agent.StateDirectory);
        string record = Path.Combine(agent.StateDirectory, "config.json");
        const string Foreign = """{"layout":99,"version":"9.9.9","pid":1,"startedAt":"2026-01-01T00:00:00Z","nodeName":"n","device":"clb0"}""";
        File.WriteAllText(record, Foreign);
        try
        {
            string said = AssertRefused(agent, "has layout 99 (ClusterLb 9.9.9)", AgentOnNodeA);

            Assert.Contains("`clusterlb cleanup` of that version", said, StringComparison.Ordinal);
            Assert.Equal(Foreign, File.ReadAllText(record)); // it is that version's
        }
        finally
        {
            Directory.Delete(agent.StateDirectory, recursive: true);
        }
    }

    [LabFact]
    public void A_wrong_configuration_names_every_problem()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        string file = Path.Combine(fixture.Lab.Folder, "wrong.yaml");
        File.WriteAllText(file,
            """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            clusterCIDR: "not-a-cidr"
            ---
            apiVersion: clusterlb.io/v1alpha1
            kind: ClusterLbConfiguration
            serviceCIDRs: ["10.96.0.0/99"]
            """);

        string said = AssertRefused(agent, "not-a-cidr", ["agent", "--config", file, "--manifests", fixture.Lab.Manifests.Path]);

        Assert.Contains("10.96.0.0/99", said, StringComparison.Ordinal);
    }

    [LabFact]
    public async Task A_state_directory_that_another_agent_uses()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        await CleanupTests.StartAsync(agent);
        try
        {
            ToolResult second = fixture.Clusterlb("node-a", "agent", "--config", agent.ConfigFile, "--manifests", fixture.Lab.Manifests.Path);

            Assert.NotEqual(0, second.ExitCode);
            Assert.Contains(agent.StateDirectory, second.Errors + second.Output, StringComparison.Ordinal);
            Assert.True(await agent.IsHealthyAsync(), "the first agent must not mind");
        }
        finally
        {
            agent.Terminate();
            await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
            fixture.Clusterlb("node-a", "cleanup");
        }
    }

    private string[] AgentOnNodeA => ["agent", "--config", fixture.Lab.Agent("node-a").ConfigFile, "--manifests", fixture.Lab.Manifests.Path];

    /// <param name="agent">Whose node and state directory.</param>
    /// <param name="names">What it has to speak of.</param>
    /// <param name="arguments">Of clusterlb.</param>
    /// <param name="by">The program that starts it, with its arguments; empty: nobody.</param>
    private string AssertRefused(AgentProcess agent, string names, string[] arguments, params string[] by)
    {
        agent.WriteConfig(mtu: 1500);
        IReadOnlyList<string> before = NodeSnapshot.Take(agent.Namespace);

        ToolResult result = Tool.Try("nsenter",
            [$"--net={fixture.Lab.Namespace("node-a").Path}", .. by, .. fixture.Lab.Program, .. arguments, "--state-dir", agent.StateDirectory]);

        string said = result.Errors + result.Output;
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(names, said, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", said, StringComparison.Ordinal); // a stack trace is not an explanation
        Assert.Equal(before, NodeSnapshot.Take(agent.Namespace));
        Assert.Equal(0, agent.DataplaneProcessId);
        return said;
    }
}
