using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>What a node's service proxy says of itself, and service ranges that are added while it runs.</summary>
internal sealed class NodeChecks : ICheckGroup
{
    private const string Range = "10.196.196.0/24";
    private const string InRange = "10.196.196.77";

    public string Name => "node";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        foreach (CheckedNode node in bed.Nodes)
        {
            await list.CheckAsync($"{node.Name}: /healthz on 10256 says 200 and when it was updated", () =>
                Probe.AnswersAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, 10256), "/healthz", b => b.Contains("lastUpdated", StringComparison.Ordinal)));
            await list.CheckAsync($"{node.Name}: /healthz on 10256 is reached from outside the node", () =>
                Probe.AnswersAsync(bed.Pod1, new IPEndPoint(node.Address, 10256), "/healthz", IsJson));
            await list.CheckAsync($"{node.Name}: /livez on 10256 says 200", () =>
                Probe.AnswersAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, 10256), "/livez", IsJson));
            await list.CheckAsync($"{node.Name}: /proxyMode on 10249 answers", () =>
                Probe.AnswersAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, 10249), "/proxyMode", b => b.Length > 0));
            await list.CheckAsync($"{node.Name}: /metrics on 10249 has the time of the last sync", () =>
                Probe.AnswersAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, 10249), "/metrics", b => b.Contains("kubeproxy_sync_proxy_rules_last_timestamp_seconds", StringComparison.Ordinal)));
        }

        await list.CheckAsync("a cluster IP of a range that was added just now", async () =>
        {
            bed.Apply($"{{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {{name: clusterlb-checks}}, spec: {{cidrs: [{Range}]}} }}");
            try
            {
                await bed.WaitAsync("the range is ready", () => bed.Get("servicecidrs", "clusterlb-checks")["status"]?["conditions"]?.AsArray()
                    .Any(c => (string?)c!["type"] == "Ready" && (string?)c["status"] == "True") ?? false);
                CheckedService service = bed.Service("ranged", $"{{clusterIP: {InRange}, selector: {{app: server}}, ports: {CheckBed.Ports} }}");
                foreach (Origin from in bed.Insiders)
                {
                    await Probe.AnswersFromAsync(from, service.At(), bed.AllServers);
                    await Probe.UdpAnswersFromAsync(from, service.At(), bed.AllServers);
                }
            }
            finally
            {
                bed.Kubectl("delete", "service", "ranged", "--ignore-not-found");
                bed.Kubectl("delete", "servicecidr", "clusterlb-checks", "--ignore-not-found", "--wait=false");
            }
        });
    }

    private static bool IsJson(string body)
    {
        try
        {
            return JsonNode.Parse(body) is JsonObject;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
