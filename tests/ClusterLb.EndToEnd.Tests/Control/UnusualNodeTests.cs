using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>Nodes that are less than complete, or change, are normal.</summary>
public sealed class UnusualNodeTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private LabCluster _lab = null!;

    private AgentProcess Agent => _lab.Agent("node-a");

    public async Task InitializeAsync()
    {
        if (LabNeeds.Reason is null)
        {
            _lab = await LabCluster.UpAsync(new LabOptions
            {
                Name = $"e2eu{Environment.ProcessId}",
                Program = LabProgram.Find(AppContext.BaseDirectory),
                WithAgents = false,
                EndsWithThisProcess = true,
            }, _ => { });
        }
    }

    public Task DisposeAsync()
    {
        _lab?.Dispose();
        return Task.CompletedTask;
    }

    [LabFact]
    public async Task A_node_without_ipv6_serves_ipv4()
    {
        Agent.Namespace.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1");

        await CleanupTests.StartAsync(Agent);

        Assert.Equal("", (await ConnectAsync("client-a", ipv6: false)).Failure);
    }

    [LabFact]
    public async Task A_node_whose_object_is_not_there_yet_serves_and_takes_the_object_when_it_comes()
    {
        _lab.Manifests.DeleteFile("nodes.yaml");

        await CleanupTests.StartAsync(Agent);
        Assert.Equal("", (await ConnectAsync("client-a", ipv6: false)).Failure);
        Assert.Equal("", (await ConnectAsync("client-a", ipv6: true)).Failure);

        _lab.Manifests.WriteAll(_lab.Topology);
        await Agent.WaitUntilHealthyAsync(Patience);
        Assert.Equal("", (await ConnectAsync("client-a", ipv6: false)).Failure);
    }

    [LabFact]
    public async Task A_node_without_an_address_is_told_until_it_has_one()
    {
        Tool.Run("ip", ["-n", Agent.Namespace.Name, "addr", "flush", "dev", "eth0", "scope", "global"]);
        await CleanupTests.StartAsync(Agent);
        await Eventually.IsAsync(Doctor, () => Doctor().Contains("this node has no address", StringComparison.Ordinal));

        Tool.Run("ip", ["-n", Agent.Namespace.Name, "addr", "add", "172.31.0.11/24", "dev", "eth0"]);
        await Eventually.IsAsync(Doctor, () => !Doctor().Contains("this node has no address", StringComparison.Ordinal));
        await Eventually.IsAsync("it serves", async () => (await ConnectAsync("node-a", ipv6: false)).Failure.Length == 0);

        string Doctor() => Tool.Try("nsenter", [$"--net={Agent.Namespace.Path}", .. _lab.Program, "doctor", "--state-dir", Agent.StateDirectory]).Output;
    }

    [LabFact]
    public async Task The_source_address_of_the_node_follows_its_addresses()
    {
        await CleanupTests.StartAsync(Agent);
        Agent.Namespace.SetSysctl("net.ipv4.conf.eth0.promote_secondaries", "1"); // the new address outlives the old one
        Tool.Run("ip", ["-n", Agent.Namespace.Name, "addr", "add", "172.31.0.99/24", "dev", "eth0"]);
        Assert.StartsWith("172.31.0.11:", (await ConnectAsync("node-a", ipv6: false)).Answer?.Client, StringComparison.Ordinal);

        Tool.Run("ip", ["-n", Agent.Namespace.Name, "addr", "del", "172.31.0.11/24", "dev", "eth0"]);
        await Eventually.IsAsync("steering follows when the old address goes", async () =>
            (await ConnectAsync("node-a", ipv6: false)).Answer?.Client.StartsWith("172.31.0.99:", StringComparison.Ordinal) == true);
    }

    private Task<Attempt> ConnectAsync(string from, bool ipv6) => Connector.OnceAsync(
        TrafficTarget.Of(_lab, from, _lab.Topology.Service("on-node-a").ClusterIp(ipv6), 80), ConnectProtocol.Http, TimeSpan.FromSeconds(1));
}
