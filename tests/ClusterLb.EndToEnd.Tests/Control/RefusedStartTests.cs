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
            AssertRefused(agent, "clb0", ["agent", "--config", agent.ConfigFile, "--manifests", fixture.Lab.Manifests.Path]);
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

    private string AssertRefused(AgentProcess agent, string names, string[] arguments)
    {
        agent.WriteConfig(mtu: 1500);
        IReadOnlyList<string> before = NodeSnapshot.Take(agent.Namespace);

        ToolResult result = fixture.Clusterlb("node-a", arguments);

        string said = result.Errors + result.Output;
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(names, said, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", said, StringComparison.Ordinal); // a stack trace is not an explanation
        Assert.Equal(before, NodeSnapshot.Take(agent.Namespace));
        Assert.Equal(0, agent.DataplaneProcessId);
        return said;
    }
}
