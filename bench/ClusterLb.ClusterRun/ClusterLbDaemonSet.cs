using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>ClusterLb in pods, by the manifests of deploy/kubernetes.</summary>
internal sealed class ClusterLbDaemonSet(ClusterSettings settings, Kubectl kubectl) : IServiceProxy
{
    private const string Namespace = "kube-system";
    private const string StateDirectory = "/run/clusterlb"; // of the manifest; the device on the node is marked with it
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
                item["data"]!["config.yaml"] = Configuration();
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
        foreach (NetworkNamespace ns in settings.Nodes.Values)
        {
            RunFolder.Clean(settings, ns, StateDirectory);
        }

        return Task.CompletedTask;
    }

    // Kubernetes ends and starts its processes: a rollout of the DaemonSet.
    public bool Has(ProxyPart part) => false;

    public Task EndAsync(ProxyPart part, bool kill) => Task.CompletedTask;

    // The nodes share this machine's files: a state directory on the node would be one for both.
    private void AdaptToThisCluster(JsonNode pod)
    {
        JsonNode container = pod["containers"]![0]!;
        container["image"] = settings.AgentImage;
        container["imagePullPolicy"] = "IfNotPresent";
        JsonNode state = pod["volumes"]!.AsArray().Single(v => (string)v!["name"]! == "state")!;
        state.AsObject().Remove("hostPath");
        state["emptyDir"] = new JsonObject { ["medium"] = "Memory" };
    }

    private string Configuration()
    {
        JsonNode server = JsonNode.Parse(kubectl.Run("config", "view", "--minify", "-o", "json"))!["clusters"]![0]!["cluster"]!["server"]!;
        return $$"""
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            clusterCIDR: "{{settings.PodRanges}}"
            ---
            apiVersion: clusterlb.io/v1alpha1
            kind: ClusterLbConfiguration
            apiServers: ["{{(string)server!}}"]

            """;
    }
}
