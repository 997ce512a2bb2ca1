using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>A pod dials, as Kubernetes' "granular checks" have it: netexec asks and tells who answered.</summary>
internal sealed class ReachChecks : ICheckGroup
{
    private const int Tries = 40;

    public string Name => "netexec dials";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("dialled", more: "type: NodePort");
        CheckedService twin = bed.ServiceOf("twin", more: "type: NodePort");
        CheckedService sticky = bed.ServiceOf("dialled-sticky", more: "sessionAffinity: ClientIP");
        foreach (string dialler in (string[])["c1", "c2", "a1"])
        {
            await AllAsync(dialler, "cluster IP", service.At(), service.At());
            await AllAsync(dialler, "cluster IP, IPv6", service.At6(), service.At6());
            await AllAsync(dialler, "another service of the same pods", twin.At(), twin.At());
            await AllAsync(dialler, "node port of the other node", At(bed.Node2.Address, "web"), At(bed.Node2.Address, "datagram"));
            await AllAsync(dialler, "node port of its node", At(bed.Node1.Address, "web"), At(bed.Node1.Address, "datagram"));
            if (bed.Node2.Address6 is { } six)
            {
                await AllAsync(dialler, "node port, IPv6", At(six, "web"), At(six, "datagram"));
            }

            foreach (string protocol in (string[])["http", "udp"])
            {
                await list.CheckAsync($"{dialler}, session affinity, {protocol}", () => DialAsync(bed, dialler, sticky.At(), protocol, "hostname", seen => seen.Count == 1));
                string large = new('4', 2000);
                await list.CheckAsync($"{dialler}, a large request, {protocol}", () => DialAsync(bed, dialler, service.At(), protocol,
                    protocol == "http" ? "echo?msg=" + large : "echo " + large, seen => seen.Count == 1 && seen.First() == large, tries: 1));
            }
        }

        await list.CheckAsync("the API server reaches a service's pod for kubectl", () =>
        {
            string host = bed.Kubectl("get", "--raw", $"/api/v1/namespaces/{CheckBed.Namespace}/services/http:dialled:web/proxy/hostname");
            return bed.AllServers.Contains(host.Trim()) ? Task.CompletedTask : throw new CheckFailedException(host);
        });

        async Task AllAsync(string dialler, string how, IPEndPoint tcp, IPEndPoint udp)
        {
            await list.CheckAsync($"{dialler} dials every pod by {how}, http", () => DialAsync(bed, dialler, tcp, "http", "hostname", seen => seen.SetEquals(bed.AllServers)));
            await list.CheckAsync($"{dialler} dials every pod by {how}, udp", () => DialAsync(bed, dialler, udp, "udp", "hostname", seen => seen.SetEquals(bed.AllServers)));
        }

        IPEndPoint At(IPAddress node, string port) => new(node, service.NodePort(port));
    }

    private static Task DialAsync(CheckBed bed, string dialler, IPEndPoint to, string protocol, string request, Func<HashSet<string>, bool> isRight, int tries = Tries) =>
        Probe.HoldsAsync($"{dialler} to {to}, {protocol}", async () =>
        {
            string query = string.Create(CultureInfo.InvariantCulture,
                $"/dial?host={to.Address}&port={to.Port}&protocol={protocol}&request={Uri.EscapeDataString(request)}&tries={tries}");
            Answer answer = await Request.GetAsync(bed.Node1.Origin.Namespace, new IPEndPoint(bed.AddressOf(dialler), 8080), query, TimeSpan.FromSeconds(60));
            if (answer.Failure.Length > 0)
            {
                return answer.Failure;
            }

            JsonNode said = JsonNode.Parse(answer.Body)!;
            HashSet<string> seen = [.. said["responses"]?.AsArray().Select(r => (string)r!) ?? []];
            return said["errors"] is null && isRight(seen) ? "" : answer.Body;
        });
}
