using ClusterLb.Agent;
using ClusterLb.Agent.DataplaneChild;

namespace ClusterLb.Tests.House;

/// <summary>What agents are started with: the same wherever they are started, and nothing of it for the dataplane.</summary>
public sealed class DeployedEnvironmentTests
{
    [Fact]
    public void The_service_of_systemd_and_the_DaemonSet_start_the_agent_as_the_lab_does()
    {
        string unit = Repository.Read("deploy/systemd/clusterlb.service");
        string pods = Repository.Read("deploy/kubernetes/daemonset.yaml");
        foreach (string variable in AgentEnvironment.Variables)
        {
            string[] parts = variable.Split('=');
            Assert.Contains($"\nEnvironment={variable}\n", unit, StringComparison.Ordinal);
            Assert.Matches($"""- name: {parts[0]} .*\n +value: "{parts[1]}"\n""", pods);
        }
    }

    [Fact]
    public void The_dataplane_keeps_the_guard_of_code_that_is_compiled() =>
        Assert.DoesNotContain(DataplaneCommand.Variables(queues: 2), variable => variable.Contains("WriteXorExecute", StringComparison.Ordinal));
}
