using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>externalTrafficPolicy, and what health check node ports say about it.</summary>
internal sealed class ExternalPolicyChecks : ICheckGroup
{
    private const string BalancerIp = "203.0.113.51";

    public string Name => "externalTrafficPolicy";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        await bed.StartAsync(new PodOrder("local", bed.Node1.Name, "local"));
        await NodePortAsync(bed, list);
        await BalancerAsync(bed, list);
    }

    private static async Task NodePortAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("local", "{app: local}", "type: NodePort, externalTrafficPolicy: Local");
        var here = new IPEndPoint(bed.Node1.Address, service.NodePort("web"));
        var there = new IPEndPoint(bed.Node2.Address, service.NodePort("web"));
        await list.CheckAsync("cluster IP: the policy has no part in it", () => Probe.AnswersFromAsync(bed.Pod2, service.At(), "local"));
        await list.CheckAsync("a pod reaches it by its own node, without a pod there", () => Probe.AnswersFromAsync(bed.Pod2, there, "local"));
        await list.CheckAsync("a pod reaches it by the other node", () => Probe.AnswersFromAsync(bed.Pod2, here, "local"));
        await list.CheckAsync("a pod is seen as itself", () => Probe.IsSeenAsAsync(bed.Pod1, here, bed.AddressOf("c1")));
        await list.CheckAsync("a node without a pod reaches it by its own address", () => Probe.AnswersFromAsync(bed.Node2.Origin, there, "local"));
        await list.CheckAsync("a node reaches it by the other node, and is seen as itself", () => Probe.IsSeenAsAsync(bed.Node2.Origin, here, bed.Node2.Address));
        await list.CheckAsync("another node is dropped where there is no pod", () => Probe.DropsAsync(bed.Node1.Origin, there));
        if (bed.Outside is { } outside)
        {
            await list.CheckAsync("outside reaches it by the node with the pod", () => Probe.AnswersFromAsync(outside, here, "local"));
            await list.CheckAsync("outside is seen as itself", () => Probe.AnswersAsync(outside, here, "/clientip", b => !IsOfANode(bed, b)));
            await list.CheckAsync("outside is dropped where there is no pod", () => Probe.DropsAsync(outside, there));
            await list.CheckAsync("UDP: outside reaches it by the node with the pod", () =>
                Probe.UdpAnswersFromAsync(outside, new IPEndPoint(bed.Node1.Address, service.NodePort("datagram")), "local"));
            await list.CheckAsync("changed to Cluster, outside reaches it by both nodes, and is seen as the node", async () =>
            {
                bed.Patch("local", """{"spec":{"externalTrafficPolicy":"Cluster"}}""");
                await Probe.AnswersFromAsync(outside, there, "local");
                await Probe.AnswersFromAsync(outside, here, "local");
                await Probe.AnswersAsync(outside, here, "/clientip", b => IsOfANode(bed, b));
                bed.Patch("local", """{"spec":{"externalTrafficPolicy":"Local"}}""");
                await Probe.DropsAsync(outside, there);
                await Probe.AnswersFromAsync(outside, here, "local");
            });
        }
    }

    private static async Task BalancerAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("balanced", "{app: local}", "type: LoadBalancer, externalTrafficPolicy: Local");
        bed.GiveAddresses("balanced", $$"""[{"ip":"{{BalancerIp}}"}]""");
        var balancer = new IPEndPoint(IPAddress.Parse(BalancerIp), 80);
        int health = service.HealthCheckNodePort;
        foreach (Origin from in bed.Insiders)
        {
            await list.CheckAsync($"{from.Name} reaches it by the load balancer's IP, wherever the pod is", () => Probe.AnswersFromAsync(from, balancer, "local"));
        }

        if (bed.Outside is { } outside)
        {
            await list.CheckAsync("outside reaches the load balancer's IP by the node with the pod, and is seen as itself", async () =>
            {
                bed.RouteFromOutside(bed.Node1, balancer.Address);
                await Probe.AnswersFromAsync(outside, balancer, "local");
                await Probe.AnswersAsync(outside, balancer, "/clientip", b => !IsOfANode(bed, b));
            });
            await list.CheckAsync("outside is dropped by a node without a pod", async () =>
            {
                bed.RouteFromOutside(bed.Node2, balancer.Address);
                await Probe.DropsAsync(outside, balancer);
            });
        }

        foreach (Origin from in bed.Everyone)
        {
            await list.CheckAsync($"{from.Name}: health check node port says 200 where the pod is, 503 elsewhere", async () =>
            {
                await SaysAsync(from, bed.Node1, health, 200, 1);
                await SaysAsync(from, bed.Node2, health, 503, 0);
            });
        }

        await list.CheckAsync("health check node port by 127.0.0.1 and IPv6", async () =>
        {
            await SaysAsync(bed.Node1.Origin, bed.Node1 with { Address = IPAddress.Loopback }, health, 200, 1);
            if (bed.Node1.Address6 is { } six)
            {
                await SaysAsync(bed.Pod2, bed.Node1 with { Address = six }, health, 200, 1);
            }
        });
        await list.CheckAsync("health check node port follows its pods: none, one, two", async () =>
        {
            await bed.StartAsync(new PodOrder("local2", bed.Node2.Name, "local"), new PodOrder("local3", bed.Node2.Name, "local"));
            await SaysAsync(bed.Node1.Origin, bed.Node2, health, 200, 2);
            await bed.KillAsync("local", "local2");
            await SaysAsync(bed.Node1.Origin, bed.Node2, health, 200, 1);
            await SaysAsync(bed.Node1.Origin, bed.Node1, health, 503, 0);
        });
        await list.CheckAsync("changed to Cluster, the health check node port is closed; to Local, there is one again", async () =>
        {
            bed.Patch("balanced", """{"spec":{"externalTrafficPolicy":"Cluster"}}""");
            await Probe.RefusesAsync(bed.Pod1, new IPEndPoint(bed.Node2.Address, health));
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(bed.Node1.Address, service.NodePort("web")), "local3");
            CheckedService again = bed.Patch("balanced", """{"spec":{"externalTrafficPolicy":"Local"}}""");
            await SaysAsync(bed.Node1.Origin, bed.Node2, again.HealthCheckNodePort, 200, 1);
        });
        await list.CheckAsync("deleted, the health check node port is closed", async () =>
        {
            int port = bed.Service("balanced").HealthCheckNodePort;
            bed.Kubectl("delete", "service", "balanced");
            await Probe.RefusesAsync(bed.Pod1, new IPEndPoint(bed.Node2.Address, port));
        });
    }

    /// <summary>The health check node port of a service answers so: status, headers and body as kube-proxy's.</summary>
    public static Task SaysAsync(Origin from, CheckedNode node, int port, int status, int endpoints) =>
        Probe.HoldsAsync($"{from.Name} to health check node port {port} of {node.Name}, to be {status} with {endpoints}", async () =>
        {
            Answer answer = await Request.FetchAsync(from.Namespace, new IPEndPoint(node.Address, port), "/", TimeSpan.FromSeconds(3));
            if (answer.Failure.Length > 0)
            {
                return answer.Failure;
            }

            string[] parts = answer.Body.Split("\r\n\r\n", 2);
            bool isRight = parts.Length == 2 && parts[0].Split("\r\n")[0].Contains($" {status} ", StringComparison.Ordinal)
                && HasHeader(parts[0], "Content-Type: application/json") && HasHeader(parts[0], "X-Content-Type-Options: nosniff")
                && HasHeader(parts[0], $"X-Load-Balancing-Endpoint-Weight: {endpoints}")
                && EndpointsOf(parts[1]) == endpoints;
            return isRight ? "" : answer.Body;
        });

    private static bool HasHeader(string head, string header) => head.Split("\r\n").Contains(header, StringComparer.OrdinalIgnoreCase);

    private static int EndpointsOf(string body)
    {
        try
        {
            return (int?)JsonNode.Parse(body)?["localEndpoints"] ?? -1;
        }
        catch (JsonException)
        {
            return -1;
        }
    }

    private static bool IsOfANode(CheckBed bed, string client) =>
        IPEndPoint.TryParse(client.Trim(), out IPEndPoint? seen) && bed.Nodes.Any(n => n.Address.Equals(seen.Address.IsIPv4MappedToIPv6 ? seen.Address.MapToIPv4() : seen.Address));
}
