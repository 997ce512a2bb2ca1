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
                Services = [topology.Service("on-node-b") with { Exposure = new LabExposure(NodePort - 80) { ExternalIps = [OnLoopback] } }],
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

    [LabFact]
    public async Task Pods_are_told_anew_when_the_interface_that_leads_to_them_is_another()
    {
        await CleanupTests.StartAsync(Agent, "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: eni-}");
        LabPod pod = _lab.Topology.Pods.Single(p => p.Name == "client-a");
        await Eventually.IsAsync("it is a pod", () => KeepsAddressAsync(pod.Name));

        Rename(pod, pod.NodeInterface, "veth-other");
        await Eventually.IsAsync("it is none", async () => !await KeepsAddressAsync(pod.Name));

        Rename(pod, "veth-other", pod.NodeInterface);
        await Eventually.IsAsync("it is one again", () => KeepsAddressAsync(pod.Name));
    }

    [LabTheory]
    [InlineData(true, "", "External IPs served")]
    [InlineData(false, "refused", "External IPs not served")]
    public async Task External_addresses_are_served_unless_they_are_turned_off(bool areServed, string failure, string said)
    {
        await CleanupTests.StartAsync(Agent, new LabSettings { LoadBalancer = areServed ? "" : "externalIPs: false" });
        await Eventually.IsAsync("the node port answers", async () => (await DialAsync("client", Agent.Node.Ipv4)).Answer is not null);

        Assert.Equal(failure, (await DialAsync("client", OnLoopback, 80)).Failure);
        string line = Assert.Single(await File.ReadAllLinesAsync(Agent.LogFile), line => line.Contains("External IPs", StringComparison.Ordinal));
        Assert.Contains($"\"{said}\" service=\"default/on-node-b\" addresses=\"{OnLoopback}\"", line, StringComparison.Ordinal);
    }

    /// <summary>A link that is down loses its routes.</summary>
    private void Rename(LabPod pod, string from, string to)
    {
        string mac = Tool.Run("ip", ["netns", "exec", _lab.Namespace(pod.Name).Name, "cat", "/sys/class/net/eth0/address"]).Trim();
        foreach (string step in (string[])[
            $"link set {from} down", $"link set {from} name {to}", $"link set {to} up",
            $"route add {pod.Ipv4}/32 dev {to} scope link", $"neigh replace {pod.Ipv4} lladdr {mac} dev {to} nud permanent"])
        {
            Tool.Run("ip", ["-n", Agent.Namespace.Name, .. step.Split(' ')]);
        }
    }

    private async Task<bool> KeepsAddressAsync(string pod)
    {
        Attempt attempt = await DialAsync(pod, _lab.Topology.Service("on-node-b").ClusterIp(ipv6: false), 80);
        Assert.NotNull(attempt.Answer);
        return attempt.LocalAddress == attempt.Answer.Client;
    }

    private Task<Attempt> DialAsync(string from, IpAddr address, int port = NodePort) => Connector.OnceAsync(
        TrafficTarget.Of(_lab, from, address, port), ConnectProtocol.Http, TimeSpan.FromSeconds(1));
}
