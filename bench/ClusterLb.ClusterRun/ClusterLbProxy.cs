using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>ClusterLb's agent on every node, with the rights of its own account.</summary>
internal sealed class ClusterLbProxy(ClusterSettings settings, Kubectl kubectl, string folder) : IServiceProxy
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<BoundProcess> _agents = [];

    public string Name => "ClusterLb";

    public async Task StartAsync()
    {
        kubectl.Run("apply", "-f", settings.RightsFile);
        string kubeconfig = WriteKubeconfig();
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            string config = Path.Combine(folder, $"clusterlb-{node}.yaml");
            await File.WriteAllTextAsync(config,
                $$"""
                apiVersion: kubeproxy.config.k8s.io/v1alpha1
                kind: KubeProxyConfiguration
                hostnameOverride: {{node}}
                clientConnection: {kubeconfig: "{{kubeconfig}}"}
                clusterCIDR: "{{settings.PodRanges}}"

                """);
            _agents.Add(await BoundProcess.StartAsync(
                LogFile(node), ["nsenter", $"--net={ns.Path}", .. settings.Program, "agent", "--config", config, "--state-dir", StateOf(node)]));
        }

        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            await WaitUntilHealthyAsync(node, ns);
        }
    }

    public async Task StopAsync()
    {
        foreach (BoundProcess agent in _agents)
        {
            await agent.KillAsync(); // the dataplane goes on until cleanup
            agent.Dispose();
        }

        _agents.Clear();
        foreach ((string node, NetworkNamespace ns) in settings.Nodes.Where(n => Directory.Exists(StateOf(n.Key))))
        {
            Tool.Run("nsenter", [$"--net={ns.Path}", .. settings.Program, "cleanup", "--state-dir", StateOf(node)]);
        }
    }

    // The account of the manifest, its token and the cluster's own authority: what a pod would find in its files.
    private string WriteKubeconfig()
    {
        string account = kubectl.Get("-f", settings.RightsFile)["items"]!.AsArray()
            .First(i => (string)i!["kind"]! == "ServiceAccount")!.ToJsonString();
        var item = System.Text.Json.Nodes.JsonNode.Parse(account)!;
        string name = (string)item["metadata"]!["name"]!;
        string ns = (string)item["metadata"]!["namespace"]!;
        string token = kubectl.Run("create", "token", name, "-n", ns, "--duration", "2h").Trim();
        string path = Path.Combine(folder, "clusterlb.kubeconfig");
        File.WriteAllText(path, kubectl.Run("config", "view", "--raw", "--minify", "--flatten"));
        Tool.Run(Kubectl.Program("kubectl"), ["--kubeconfig", path, "config", "set-credentials", "clusterlb", "--token", token]);
        Tool.Run(Kubectl.Program("kubectl"), ["--kubeconfig", path, "config", "set-context", "--current", "--user", "clusterlb"]);
        return path;
    }

    private async Task WaitUntilHealthyAsync(string node, NetworkNamespace ns)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (Tool.Try("nsenter", [$"--net={ns.Path}", .. settings.Program, "status", "--state-dir", StateOf(node)]).ExitCode != 0)
        {
            if (patience.IsCancellationRequested)
            {
                throw new LabException($"ClusterLb on {node} is not in order. The end of its log:\n" +
                    string.Join('\n', File.ReadLines(LogFile(node)).TakeLast(20)));
            }

            await Task.Delay(200);
        }
    }

    private string StateOf(string node) => Path.Combine(folder, "state-" + node);

    private string LogFile(string node) => Path.Combine(folder, $"clusterlb-{node}.log");
}
