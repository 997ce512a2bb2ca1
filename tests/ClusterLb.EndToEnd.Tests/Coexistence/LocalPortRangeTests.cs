using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>A node that is tuned to have nearly all ports for connections of its own.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class LocalPortRangeTests(CoexistenceLabFixture fixture) : IAsyncLifetime
{
    private const string Usual = "32768 60999";
    private const string Check = "source ports";

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (LabNeeds.Reason is null)
        {
            SetRange(Usual);
            await Eventually.IsAsync("all source ports are used again", () => fixture.Check(Check).Verdict == "ok");
        }
    }

    [LabFact]
    public async Task Connections_of_the_node_itself_and_masqueraded_ones_never_have_the_same_port()
    {
        SetRange("1024 65535");
        await Eventually.IsAsync(
            () => $"only reserved ports are used: {fixture.Check(Check)}",
            () => fixture.Check(Check) is { Verdict: "warning" } row && row.Text.StartsWith("61000-65535: 4536 to each backend", StringComparison.Ordinal));
        Assert.Contains("61000-65535", fixture.OnNodeA("cat /proc/sys/net/ipv4/ip_local_reserved_ports"), StringComparison.Ordinal);
        Assert.Contains(
            "the kernel gives the others to this node's own connections", await File.ReadAllTextAsync(fixture.Lab.Agent("node-a").LogFile), StringComparison.Ordinal);

        foreach (bool ipv6 in (bool[])[false, true])
        {
            using Socket own = await AskAsync(OwnConnection(ipv6, 2_001));
            Assert.InRange(await PortSeenAsync(FromOutside(ipv6, 2_001)), 61_000, 65_535);

            using Socket client = await AskAsync(FromOutside(ipv6, 2_002));
            using Socket probe = await AskAsync(OwnConnection(ipv6, 2_002));
            foreach (Socket socket in (Socket[])[own, client, probe])
            {
                await socket.SendAsync("once more\n"u8.ToArray());
                Assert.True(await socket.ReceiveAsync(new byte[2048]).WaitAsync(LabFixture.Timeout) > 0);
            }
        }
    }

    private void SetRange(string range) => fixture.OnNodeA($"sysctl -qw net.ipv4.ip_local_port_range='{range}'");

    /// <summary>As the kubelet probes a pod.</summary>
    private TrafficTarget OwnConnection(bool ipv6, int port)
    {
        LabPod pod = fixture.Topology.Pod("web-1");
        return TrafficTarget.Of(fixture.Lab, "node-a", ipv6 ? pod.Ipv6 : pod.Ipv4, LabPod.EchoPort) with { FromPort = port };
    }

    /// <summary>To the same pod, masqueraded as node-a.</summary>
    private TrafficTarget FromOutside(bool ipv6, int port) =>
        fixture.To(LabTopology.ClientName, "NodePort", "cluster-a", ipv6, 7) with { FromPort = port };

    private static async Task<int> PortSeenAsync(TrafficTarget target)
    {
        Attempt attempt = await Connector.OnceAsync(target, ConnectProtocol.Tcp, LabFixture.Timeout);
        Assert.Equal("", attempt.Failure);
        return IPEndPoint.Parse(attempt.Answer!.Client).Port;
    }

    /// <summary>A connection whose greeting has come.</summary>
    private static async Task<Socket> AskAsync(TrafficTarget target)
    {
        using var limit = new CancellationTokenSource(LabFixture.Timeout);
        Socket socket = await target.ConnectTcpAsync(limit.Token);
        Assert.True(await socket.ReceiveAsync(new byte[2048], limit.Token) > 0);
        return socket;
    }
}
