using System.Text;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A lab whose web pods have many addresses more: each is an endpoint of its own, that can come and go.</summary>
public sealed class RolloutLabFixture : LabFixture
{
    /// <summary>Endpoints that there can be.</summary>
    public const int Endpoints = 200;

    private const int FirstIndex = 50; // of their addresses, behind those of the lab's own pods

    protected override string Tag => "w";

    protected override LabSettings Settings => new("iptables: {minSyncPeriod: 20ms, syncPeriod: 2s}");

    /// <summary>One of them, from 0.</summary>
    public LabPod Endpoint(int number) => new($"rolling-{number}", HostOf(number).Node, FirstIndex + (number / 4 * 2) + (number % 2));

    /// <summary>What answers at an endpoint's addresses, once it is started.</summary>
    public EchoServer ServerOf(int number)
    {
        LabPod endpoint = Endpoint(number);
        return new EchoServer(
            endpoint.Name, endpoint.Node.Name, [System.Net.IPAddress.Parse($"{endpoint.Ipv4}"), System.Net.IPAddress.Parse($"{endpoint.Ipv6}")],
            Lab.Namespace(HostOf(number).Name).OpenSocket);
    }

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        if (LabNeeds.Reason is not null)
        {
            return;
        }

        var commands = new Dictionary<string, StringBuilder>();
        for (int number = 0; number < Endpoints; number++)
        {
            LabPod host = HostOf(number);
            LabPod endpoint = Endpoint(number);
            CommandsOf(host.Name).Append($"addr add {endpoint.Ipv4}/32 dev lo\naddr add {endpoint.Ipv6}/128 dev lo nodad\n");
            CommandsOf(host.Node.Name)
                .Append($"route add {endpoint.Ipv4}/32 via {host.Ipv4} dev {host.NodeInterface} onlink\n")
                .Append($"route add {endpoint.Ipv6}/128 via {host.Ipv6} dev {host.NodeInterface} onlink\n");
        }

        foreach ((string member, StringBuilder batch) in commands)
        {
            Tool.Run("ip", ["-n", Lab.Namespace(member).Name, "-batch", "-"], batch.ToString());
        }

        StringBuilder CommandsOf(string member) =>
            commands.TryGetValue(member, out StringBuilder? batch) ? batch : commands[member] = new StringBuilder();
    }

    private LabPod HostOf(int number) => Topology.Pod($"web-{1 + (number % 4)}"); // two on each node
}
