using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>What balancers outside and kubelet are told, asked over the network of the lab.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class HealthTests(ChangingLabFixture fixture) : IAsyncLifetime
{
    private const string Node = "node-a";
    private const int HealthPort = 10256;
    private const int MetricsPort = 10249;
    private const int NodePort = 32100;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        fixture.Lab.Manifests.DeleteFile("health.yaml");
        fixture.Lab.Manifests.WriteFile("nodes.yaml", ManifestWriter.Nodes(fixture.Topology));
        await Eventually.IsAsync("the node is eligible", async () => await StatusAsync(Node, $"http://127.0.0.1:{HealthPort}/healthz") == 200);
    }

    [LabFact]
    public async Task A_health_check_node_port_counts_the_ready_backends_of_its_node_and_family()
    {
        fixture.Lab.Manifests.WriteFile("health.yaml", Manifest("ready: true"));
        await Eventually.IsAsync("it is listened for", async () => await StatusAsync("client", Url(Node, ipv6: true)) == 200);

        Assert.Equal("200 2 application/json nosniff", await AskAsync("client", Url(Node, ipv6: false)));
        Assert.Equal("200 1 application/json nosniff", await AskAsync("client", Url(Node, ipv6: true)));
        Assert.Equal("503 0 application/json nosniff", await AskAsync("client", Url("node-b", ipv6: false)));

        // Terminating ones do not count from the first moment, though they may still get traffic.
        fixture.Lab.Manifests.WriteFile("health.yaml", Manifest("ready: false, serving: true, terminating: true"));
        await Eventually.IsAsync("the node tells balancers to go", async () => await AskAsync("client", Url(Node, ipv6: false)) == "503 0 application/json nosniff");

        fixture.Lab.Manifests.DeleteFile("health.yaml");
        await Eventually.IsAsync("nobody listens", async () => await StatusAsync("client", Url(Node, ipv6: false)) == 0);
    }

    [LabFact]
    public async Task A_port_that_is_taken_is_an_event_and_is_listened_for_once_it_is_free()
    {
        using (Socket squatter = fixture.Lab.Namespace(Node).OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            squatter.Bind(new IPEndPoint(IPAddress.Any, NodePort));
            squatter.Listen();
            fixture.Lab.Manifests.WriteFile("health.yaml", Manifest("ready: true"));
            await Eventually.IsAsync("it is told", () => fixture.Lab.Agent(Node).LogTail(50).Contains("FailedToStartServiceHealthcheck", StringComparison.Ordinal));
        }

        await Eventually.IsAsync("it is listened for", async () => await StatusAsync("client", Url(Node, ipv6: false)) == 200);
    }

    [LabTheory]
    [InlineData("taint")]
    [InlineData("deletion")]
    [InlineData("deleted")]
    public async Task A_node_that_goes_is_not_eligible_but_lives_and_serves(string how)
    {
        string nodes = ManifestWriter.Nodes(fixture.Topology);
        string own = nodes.Split("---\n").Single(text => text.Contains($"name: {Node}\n", StringComparison.Ordinal));
        string changed = how switch
        {
            "taint" => own.Replace("spec:\n", "spec:\n  taints: [{key: ToBeDeletedByClusterAutoscaler, value: '1700000000', effect: NoSchedule}]\n", StringComparison.Ordinal),
            "deletion" => own.Replace("metadata:\n", "metadata:\n  deletionTimestamp: '2026-01-01T00:00:00Z'\n", StringComparison.Ordinal),
            _ => "",
        };
        fixture.Lab.Manifests.WriteFile("nodes.yaml", nodes.Replace(own, changed, StringComparison.Ordinal));
        await Eventually.IsAsync("balancers are sent away", async () => await StatusAsync(Node, $"http://127.0.0.1:{HealthPort}/healthz") == 503);

        JsonNode body = JsonNode.Parse(await TextAsync(Node, $"http://127.0.0.1:{HealthPort}/healthz"))!;
        Assert.False((bool)body["nodeEligible"]!);
        Assert.Equal("the node is being drained", (string?)body["reason"]);
        ToolResult status = fixture.Clusterlb(Node, "status");
        Assert.StartsWith("ClusterLb:  Ok; the node is being drained", status.Output, StringComparison.Ordinal);
        Assert.All(["IPv4", "IPv6"], family => Assert.True((bool)body["status"]![family]!["healthy"]!));
        Assert.Equal(200, await StatusAsync(Node, $"http://127.0.0.1:{HealthPort}/livez"));
        Assert.Equal("", (await fixture.ConnectAsync("client-a", "web", ipv6: false, ConnectProtocol.Http)).Failure);

        fixture.Lab.Manifests.WriteFile("nodes.yaml", nodes);
        await Eventually.IsAsync("the node is eligible again", async () => await StatusAsync(Node, $"http://127.0.0.1:{HealthPort}/healthz") == 200);
    }

    [LabFact]
    public async Task What_is_asked_of_the_metrics_port_is_answered()
    {
        Assert.Equal("clusterlb", await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/proxyMode"));
        Assert.Equal("ok", await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/healthz"));
        Assert.Equal(Node, (string?)JsonNode.Parse(await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/configz"))!["kubeproxy.config.k8s.io"]!["hostnameOverride"]);
        Assert.StartsWith("\nclusterlb statusz\n", await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/statusz"), StringComparison.Ordinal);
        Assert.Contains("\nconfig: ", await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/flagz"), StringComparison.Ordinal);
        Assert.Equal(404, await StatusAsync(Node, $"http://127.0.0.1:{MetricsPort}/debug/pprof/")); // profiling is off

        await fixture.ConnectAsync("client-a", "web", ipv6: false, ConnectProtocol.Http);
        string metrics = await TextAsync(Node, $"http://127.0.0.1:{MetricsPort}/metrics");
        foreach (string series in (string[])
            [
                "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} ", "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv6\"} ",
                "kubeproxy_sync_proxy_rules_service_changes_total ", "kubeproxy_proxy_healthz_total{code=\"200\"} ", "kubernetes_build_info{",
                "clusterlb_bpf_map_pressure{map_name=\"conntrack\",ip_family=\"IPv4\"} ", "clusterlb_bpf_map_pressure{map_name=\"services\",ip_family=\"IPv6\"} ", "clusterlb_dataplane_serving 1",
                "clusterlb_forward_count_total{direction=\"reply\"} ",
            ])
        {
            Assert.Contains("\n" + series, metrics, StringComparison.Ordinal);
        }
    }

    private string Url(string node, bool ipv6)
    {
        LabNode at = fixture.Topology.Nodes.Single(n => n.Name == node);
        IpAddr address = ipv6 ? at.Ipv6 : at.Ipv4;
        return ipv6 ? $"http://[{address}]:{NodePort}/" : $"http://{address}:{NodePort}/";
    }

    /// <summary>A service with two IPv4 backends and one of IPv6 on node-a, in this condition, and none elsewhere.</summary>
    private static string Manifest(string conditions)
    {
        string braced = "{" + conditions + "}";
        return $$"""
            apiVersion: v1
            kind: Service
            metadata: {name: balanced, namespace: default}
            spec:
              type: LoadBalancer
              clusterIP: 10.96.0.77
              clusterIPs: ["10.96.0.77", "fd10:96::77"]
              externalTrafficPolicy: Local
              healthCheckNodePort: {{NodePort}}
              ports: [{name: http, port: 80}]
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: balanced-4, namespace: default, labels: {kubernetes.io/service-name: balanced} }
            addressType: IPv4
            ports: [{name: http, port: 8080, protocol: TCP}]
            endpoints:
              - {addresses: [10.244.0.201], nodeName: {{Node}}, conditions: {{braced}} }
              - {addresses: [10.244.0.202], nodeName: {{Node}}, conditions: {{braced}} }
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: balanced-6, namespace: default, labels: {kubernetes.io/service-name: balanced} }
            addressType: IPv6
            ports: [{name: http, port: 8080, protocol: TCP}]
            endpoints:
              - {addresses: ["fd10:244:0:0::201"], nodeName: {{Node}}, conditions: {{braced}} }

            """;
    }

    /// <summary>Status, weight and the two other headers that balancers and browsers look at.</summary>
    private async Task<string> AskAsync(string member, string url)
    {
        using HttpClient http = Client(member);
        using HttpResponseMessage answer = await http.GetAsync(new Uri(url));
        string weight = answer.Headers.GetValues("X-Load-Balancing-Endpoint-Weight").Single();
        return $"{(int)answer.StatusCode} {weight} {answer.Content.Headers.ContentType} {answer.Headers.GetValues("X-Content-Type-Options").Single()}";
    }

    private async Task<string> TextAsync(string member, string url)
    {
        using HttpClient http = Client(member);
        using HttpResponseMessage answer = await http.GetAsync(new Uri(url));
        return await answer.Content.ReadAsStringAsync();
    }

    /// <summary>0 if nobody listens.</summary>
    private async Task<int> StatusAsync(string member, string url)
    {
        using HttpClient http = Client(member);
        try
        {
            using HttpResponseMessage answer = await http.GetAsync(new Uri(url));
            return (int)answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    private HttpClient Client(string member) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancel) =>
        {
            IPAddress address = IPAddress.Parse(context.DnsEndPoint.Host.Trim('[', ']'));
            Socket socket = fixture.Lab.Namespace(member).OpenSocket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(address, context.DnsEndPoint.Port), cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { Timeout = TimeSpan.FromSeconds(5) };
}
