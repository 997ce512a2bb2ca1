using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>ClusterLb in pods, by the manifests of deploy/kubernetes.</summary>
internal sealed class ClusterLbDaemonSet(ClusterSettings settings, Kubectl kubectl) : IServiceProxy
{
    private const string Namespace = "kube-system";
    private const string StateRoot = "/run/clusterlb"; // of the manifest: below it a folder for each node
    private static readonly string RightsFile = Checkout.PathOf("deploy/kubernetes/rbac.yaml");
    private static readonly string Manifest = Checkout.PathOf("deploy/kubernetes/daemonset.yaml");

    public string Name => "ClusterLb (DaemonSet)";

    public async Task StartAsync()
    {
        kubectl.Run("apply", "-f", RightsFile);
        foreach (JsonObject item in ManifestFile.Parse(await File.ReadAllTextAsync(Manifest)))
        {
            if ((string)item["kind"]! == "ConfigMap")
            {
                item["data"]!["config.yaml"] = Configuration((string)item["data"]!["config.yaml"]!);
            }
            else
            {
                AdaptToThisCluster(item["spec"]!["template"]!["spec"]!);
            }

            kubectl.Apply(item.ToJsonString());
        }

        kubectl.Run("rollout", "status", "daemonset/clusterlb", "-n", Namespace, "--timeout=50s");
    }

    public Task StopAsync()
    {
        // The pods end first: an agent that runs would not let its node be cleaned.
        kubectl.Run("delete", "daemonset", "clusterlb", "-n", Namespace, "--ignore-not-found", "--cascade=foreground", "--timeout=50s");
        kubectl.Run("delete", "configmap", "clusterlb", "-n", Namespace, "--ignore-not-found");
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            RunFolder.Clean(settings, ns, Path.Combine(StateRoot, node));
        }

        if (Directory.Exists(StateRoot) && !Directory.EnumerateFileSystemEntries(StateRoot).Any())
        {
            Directory.Delete(StateRoot);
        }

        return Task.CompletedTask;
    }

    // Kubernetes ends and starts its processes: a rollout of the DaemonSet.
    public bool Has(ProxyPart part) => false;

    public Task EndAsync(ProxyPart part, bool kill) => Task.CompletedTask;

    private void AdaptToThisCluster(JsonNode pod)
    {
        JsonNode container = pod["containers"]![0]!;
        container["image"] = settings.AgentImage;
        container["imagePullPolicy"] = "IfNotPresent";
    }

    // The two lines that the manifest says are the cluster's own.
    private string Configuration(string manifest)
    {
        JsonNode server = JsonNode.Parse(kubectl.Run("config", "view", "--minify", "-o", "json"))!["clusters"]![0]!["cluster"]!["server"]!;
        return string.Join('\n', manifest.Split('\n').Select(line =>
            line.StartsWith("clusterCIDR:", StringComparison.Ordinal) ? $"clusterCIDR: {settings.PodRanges}"
            : line.StartsWith("apiServers:", StringComparison.Ordinal) ? $"apiServers: [\"{(string)server!}\"]"
            : line));
    }
}
