using System.Net;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Host ports, which the CNI's plugin portmap makes, beside services.</summary>
internal sealed class HostPortChecks : ICheckGroup
{
    private const int Port = 54323;

    public string Name => "host port";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        IPAddress node = bed.Node1.Address;
        await bed.StartAsync(
            Order("hp1", $"{{containerPort: 8080, hostPort: {Port}, hostIP: 127.0.0.1}}"),
            Order("hp2", $"{{containerPort: 8080, hostPort: {Port}, hostIP: {node}}}"),
            Order("hp3", $"{{containerPort: 8081, hostPort: {Port}, hostIP: {node}, protocol: UDP}}"));
        var loopback = new IPEndPoint(IPAddress.Loopback, Port);
        var own = new IPEndPoint(node, Port);
        await list.CheckAsync("127.0.0.1, one pod", () => Probe.AnswersFromAsync(bed.Node1.Origin, loopback, "hp1"));
        await list.CheckAsync("127.0.0.1 from the node's address, as curl --interface asks", () => Probe.HoldsAsync("curl", () =>
        {
            ToolResult curl = Tool.Try("nsenter",
                [$"--net={bed.Node1.Origin.Namespace.Path}", "curl", "-gs", "--connect-timeout", "5", "--interface", node.ToString(), $"http://{loopback}/hostname"]);
            return Task.FromResult(curl.Output == "hp1" ? "" : $"'{curl.Output}', status {curl.ExitCode}");
        }));
        foreach (Origin from in bed.Everyone)
        {
            await list.CheckAsync($"{from.Name}: the node's address, another pod", () => Probe.AnswersFromAsync(from, own, "hp2"));
            await list.CheckAsync($"{from.Name}: the same for UDP, a third pod", () => Probe.UdpAnswersFromAsync(from, own, "hp3"));
        }

        await list.CheckAsync("a service of the same pods beside them, and a node port", async () =>
        {
            CheckedService service = bed.ServiceOf("hostports", "{app: hostport}", "type: NodePort");
            foreach (Origin from in bed.Insiders)
            {
                await Probe.AnswersFromAsync(from, service.At(), "hp1", "hp2", "hp3");
                await Probe.AnswersFromAsync(from, new IPEndPoint(node, service.NodePort("web")), "hp1", "hp2", "hp3");
            }
        });
        await list.CheckAsync("a pod with a host port reaches itself by it", () => Probe.AnswersFromAsync(bed.OriginOf("hp2"), own, "hp2"));

        PodOrder Order(string name, string port) => new(name, bed.Node1.Name, "hostport") { Ports = $"[{port}]" };
    }
}
