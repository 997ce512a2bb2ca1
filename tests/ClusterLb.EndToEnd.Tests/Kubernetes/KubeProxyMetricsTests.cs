using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;
using ClusterLb.Testing.Metrics;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>The list of kube-proxy's metrics that ours are compared with, against the real kube-proxy.</summary>
[Collection(ApiServerCollection.Name)]
public sealed partial class KubeProxyMetricsTests(ApiServerFixture fixture)
{
    private const string NodeName = "node-of-kube-proxy";

    [KubeProxyFact]
    public async Task The_list_has_every_family_of_the_real_kube_proxy_as_it_is()
    {
        string name = $"clbkp-{Environment.ProcessId}";
        Tool.Run("ip", ["netns", "add", name]);
        var space = new NetworkNamespace(name);
        string folder = Directory.CreateTempSubdirectory("clusterlb-kube-proxy-").FullName;
        try
        {
            foreach (string command in (string[])["link set lo up", "link add up0 type veth peer up1", "link set up0 up", "link set up1 up", "addr add 192.0.2.1/24 dev up0", "route add default via 192.0.2.2"])
            {
                Tool.Run("ip", ["-n", name, .. command.Split(' ')]);
            }

            Socket listener = space.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            await using var relay = new TcpRelay(listener, fixture.Server.EndPoint);
            await CreateObjectsAsync();
            await File.WriteAllTextAsync(Path.Combine(folder, "kubeconfig"), fixture.KubeconfigOf(relay));
            await File.WriteAllTextAsync(Path.Combine(folder, "config"), Configuration(Path.Combine(folder, "kubeconfig")));
            using BoundProcess proxy = await BoundProcess.StartAsync(
                Path.Combine(folder, "log"), "nsenter", $"--net={space.Path}", Path.Combine(RealApiServer.Assets!, "kube-proxy"), "--config", Path.Combine(folder, "config"));

            string[] seen = [];
            await Eventually.IsAsync(
                () => $"it has synced, fully and partly, and was asked for its health; {string.Join('\n', seen)}\n{proxy.LogTail(5)}",
                () =>
                {
                    fixture.SetEndpointsAsync("default", "kp-udp-1", $"10.244.1.{Random.Shared.Next(1, 250)}").GetAwaiter().GetResult();
                    seen = Families(space);
                    return ((string[])["sync_full_proxy_rules", "sync_partial_proxy_rules", "kubeproxy_proxy_healthz_total", "conntrack_reconciler", "rest_client_requests_total"])
                        .All(part => seen.Any(line => line.Contains(part, StringComparison.Ordinal)));
                });

            string[] list = await File.ReadAllLinesAsync(Checkout.PathOf("tests/ClusterLb.Tests/Agent/Metrics/kube-proxy-1.36.txt"));
            Assert.Empty(seen.Except(list));
        }
        finally
        {
            Tool.Try("ip", ["netns", "del", name]);
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task CreateObjectsAsync()
    {
        await fixture.Server.CreateAsync(ApiObjects.Node(NodeName, "zone-1"));
        await fixture.Server.PatchAsync("nodes", "", NodeName, new JsonObject
        {
            ["status"] = new JsonObject { ["addresses"] = new JsonArray(new JsonObject { ["type"] = "InternalIP", ["address"] = "192.0.2.1" }) },
        }, "status");
        JsonObject service = ApiObjects.Service("default", "kp-udp", ApiServerFixture.AddressOf(220));
        JsonObject slice = ApiObjects.Slice("default", "kp-udp", "1", "10.244.1.5");
        service["spec"]!["ports"]![0]!["protocol"] = "UDP";
        slice["ports"]![0]!["protocol"] = "UDP";
        await fixture.Server.CreateAsync(service);
        await fixture.Server.CreateAsync(slice);
    }

    private static string Configuration(string kubeconfig) =>
        $$"""
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        mode: nftables
        hostnameOverride: {{NodeName}}
        clientConnection: {kubeconfig: {{kubeconfig}}}
        clusterCIDR: 10.244.0.0/16
        conntrack: {maxPerCore: 0}
        nftables: {minSyncPeriod: 10ms}

        """;

    /// <summary>What it tells, Go runtime and API machinery aside; asks for its health before, so that this is counted. Empty if it does not answer.</summary>
    private static string[] Families(NetworkNamespace space)
    {
        Get(space, "http://127.0.0.1:10256/healthz");
        Get(space, "http://127.0.0.1:10256/livez");
        string text = Get(space, "http://127.0.0.1:10249/metrics");
        string ours = string.Concat(Blocks().Matches(text).Select(block => block.Value));
        return ours.Length == 0 ? [] : [.. PrometheusChecker.Read(ours).Values.Select(family => family.ToString())];
    }

    private static string Get(NetworkNamespace space, string url)
    {
        ToolResult answer = Tool.Try("nsenter", [$"--net={space.Path}", "curl", "-s", "-m", "2", url]);
        return answer.ExitCode == 0 ? answer.Output : "";
    }

    [GeneratedRegex(@"^# HELP (?:kubeproxy_|kubernetes_build_info|process_|rest_client_)[^\n]*\n(?:(?!# HELP)[^\n]*\n)*", RegexOptions.Multiline)]
    private static partial Regex Blocks();
}
