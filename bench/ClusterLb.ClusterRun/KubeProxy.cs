using System.Globalization;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>The real kube-proxy on every node.</summary>
internal sealed class KubeProxy(ClusterSettings settings, string mode, RunFolder folder) : IServiceProxy
{
    private readonly Dictionary<string, BoundProcess> _processes = new(StringComparer.Ordinal); // by node

    public string Name => $"kube-proxy {mode}";

    public async Task StartAsync()
    {
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            await File.WriteAllTextAsync(ConfigFile(node),
                $$"""
                apiVersion: kubeproxy.config.k8s.io/v1alpha1
                kind: KubeProxyConfiguration
                mode: {{mode}}
                hostnameOverride: {{node}}
                clientConnection: {kubeconfig: "{{settings.Kubeconfig}}"}
                clusterCIDR: "{{settings.PodRanges}}"
                conntrack: {maxPerCore: 0}

                """);
            await StartProcessAsync(node, ns);
        }
    }

    public Task StopAsync()
    {
        foreach (BoundProcess process in _processes.Values)
        {
            process.Dispose();
        }

        _processes.Clear();
        foreach (NetworkNamespace ns in settings.Nodes.Values)
        {
            Tool.Try("nsenter", [$"--net={ns.Path}", Kubectl.Program("kube-proxy"), "--cleanup"]);
        }

        return Task.CompletedTask;
    }

    public bool Has(ProxyPart part) => part == ProxyPart.Agent;

    public async Task EndAsync(ProxyPart part, bool kill)
    {
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            BoundProcess process = _processes[node];
            Tool.Run("kill", [kill ? "-KILL" : "-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            await process.WaitForExitAsync();
            process.Dispose();
            await StartProcessAsync(node, ns);
        }
    }

    private async Task StartProcessAsync(string node, NetworkNamespace ns) => _processes[node] = await BoundProcess.StartAsync(
        Path.Combine(folder.Path, $"kube-proxy-{mode}-{node}.log"),
        "nsenter", $"--net={ns.Path}", Kubectl.Program("kube-proxy"), "--config", ConfigFile(node));

    private string ConfigFile(string node) => Path.Combine(folder.Path, $"kube-proxy-{node}.yaml");
}
