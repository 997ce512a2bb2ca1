using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>Fields of the KubeProxyConfiguration that decide on real packets.</summary>
public sealed class NodeConfigurationTests : IAsyncLifetime
{
    private const int NodePort = 30_080;
    private static readonly IpAddr OnLoopback = IpAddr.Parse("10.99.0.1"); // an address of node-a on its interface lo
    private LabCluster _lab = null!;

    private AgentProcess Agent => _lab.Agent("node-a");

    public async Task InitializeAsync()
    {
        if (LabNeeds.Reason is not null)
        {
            return;
        }

        LabTopology topology = LabTopology.Default;
        _lab = await LabCluster.UpAsync(new LabOptions
        {
            Name = $"e2en{Environment.ProcessId}",
            Program = LabProgram.Find(AppContext.BaseDirectory),
            WithAgents = false,
            EndsWithThisProcess = true,
            Topology = topology with
            {
                Services = [topology.Service("on-node-b") with { Exposure = new LabExposure(NodePort - 80) }],
            },
        }, _ => { });
        Tool.Run("ip", ["-n", Agent.Namespace.Name, "addr", "add", $"{OnLoopback}/32", "dev", "lo"]);
        Tool.Run("ip", ["-n", _lab.Namespace(LabTopology.SwitchName).Name, "route", "add", $"{OnLoopback}/32", "via", $"{Agent.Node.Ipv4}"]);
    }

    public Task DisposeAsync()
    {
        _lab?.Dispose();
        return Task.CompletedTask;
    }

    [LabFact]
    public async Task Node_ports_answer_on_all_addresses_of_the_node()
    {
        await CleanupTests.StartAsync(Agent);
        await Eventually.IsAsync("the node port answers", async () => (await DialAsync("client", Agent.Node.Ipv4)).Answer is not null);

        Assert.Equal("", (await DialAsync("client", OnLoopback)).Failure);
        Assert.Equal("", (await DialAsync("node-a", OnLoopback)).Failure);
        Assert.Equal("", (await DialAsync("node-a", IpAddr.Parse("127.0.0.1"))).Failure);
    }

    [LabTheory]
    [InlineData("nodePortAddresses: [172.31.0.0/24, 'fd31::/64']")]
    [InlineData("nodePortAddresses: [primary]")]
    public async Task Node_ports_answer_where_they_are_told_to(string field)
    {
        await CleanupTests.StartAsync(Agent, field);
        await Eventually.IsAsync("the node port answers", async () => (await DialAsync("client", Agent.Node.Ipv4)).Answer is not null);

        Assert.Equal("", (await DialAsync("client", Agent.Node.Ipv6)).Failure);
        Assert.Equal("refused", (await DialAsync("client", OnLoopback)).Failure);
        Assert.Equal("refused", (await DialAsync("node-a", IpAddr.Parse("127.0.0.1"))).Failure);
    }

    [LabFact]
    public async Task Pods_are_told_by_the_interfaces_that_lead_to_them()
    {
        await CleanupTests.StartAsync(Agent, "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: eni-}");

        foreach (bool ipv6 in (bool[])[false, true])
        {
            IpAddr service = _lab.Topology.Service("on-node-b").ClusterIp(ipv6);
            Attempt pod = await DialAsync("client-a", service, 80);
            Attempt outside = await DialAsync("client", service, 80);

            Assert.Equal(pod.LocalAddress, pod.Answer?.Client);
            Assert.NotNull(outside.Answer);
            Assert.NotEqual(outside.LocalAddress, outside.Answer.Client);
        }
    }

    private Task<Attempt> DialAsync(string from, IpAddr address, int port = NodePort) => Connector.OnceAsync(
        TrafficTarget.Of(_lab, from, address, port), ConnectProtocol.Http, TimeSpan.FromSeconds(1));
}
