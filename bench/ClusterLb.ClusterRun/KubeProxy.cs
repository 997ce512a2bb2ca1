using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>The real kube-proxy on every node.</summary>
internal sealed class KubeProxy(ClusterSettings settings, string mode, RunFolder folder) : IServiceProxy
{
    private readonly List<BoundProcess> _processes = [];

    public string Name => $"kube-proxy {mode}";

    public async Task StartAsync()
    {
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            string file = Path.Combine(folder.Path, $"kube-proxy-{node}.yaml");
            await File.WriteAllTextAsync(file,
                $$"""
                apiVersion: kubeproxy.config.k8s.io/v1alpha1
                kind: KubeProxyConfiguration
                mode: {{mode}}
                hostnameOverride: {{node}}
                clientConnection: {kubeconfig: "{{settings.Kubeconfig}}"}
                clusterCIDR: "{{settings.PodRanges}}"
                conntrack: {maxPerCore: 0}

                """);
            _processes.Add(await BoundProcess.StartAsync(
                Path.Combine(folder.Path, $"kube-proxy-{mode}-{node}.log"),
                "nsenter", $"--net={ns.Path}", Kubectl.Program("kube-proxy"), "--config", file));
        }
    }

    public Task StopAsync()
    {
        _processes.ForEach(p => p.Dispose());
        _processes.Clear();
        foreach (NetworkNamespace ns in settings.Nodes.Values)
        {
            Tool.Try("nsenter", [$"--net={ns.Path}", Kubectl.Program("kube-proxy"), "--cleanup"]);
        }

        return Task.CompletedTask;
    }
}
