using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using ClusterLb.Agent;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>ClusterLb's agent on every node, with the rights of its own account.</summary>
internal sealed class ClusterLbProxy(ClusterSettings settings, Kubectl kubectl, RunFolder folder) : IServiceProxy
{
    private const int HealthPort = 10256;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2); // of a machine that has much else to do

    private static readonly string RightsFile = Checkout.PathOf("deploy/kubernetes/rbac.yaml");

    private readonly Dictionary<string, BoundProcess> _agents = new(StringComparer.Ordinal); // by node

    public string Name => "ClusterLb";

    public async Task StartAsync()
    {
        kubectl.Run("apply", "-f", RightsFile);
        string kubeconfig = WriteKubeconfig();
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            await File.WriteAllTextAsync(ConfigFile(node),
                $$"""
                apiVersion: kubeproxy.config.k8s.io/v1alpha1
                kind: KubeProxyConfiguration
                hostnameOverride: {{node}}
                clientConnection: {kubeconfig: "{{kubeconfig}}"}
                clusterCIDR: "{{settings.PodRanges}}"

                """);
            await StartAgentAsync(node, ns);
        }

        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            await WaitUntilHealthyAsync(node, ns);
        }
    }

    public async Task StopAsync()
    {
        foreach (BoundProcess agent in _agents.Values)
        {
            await agent.KillAsync(); // the dataplane goes on until cleanup
            agent.Dispose();
        }

        _agents.Clear();
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            RunFolder.Clean(settings, ns, folder.StateOf(node)); // of a node without: nothing
        }
    }

    public bool Has(ProxyPart part) => true;

    public async Task EndAsync(ProxyPart part, bool kill)
    {
        foreach ((string node, NetworkNamespace ns) in settings.Nodes)
        {
            int[] dataplanes = part == ProxyPart.Agent ? [] : await DataplanesOfAsync(node, ns);
            BoundProcess agent = _agents[node];
            int[] ends =
            [
                .. part == ProxyPart.Dataplane ? [] : (int[])[agent.Id],
                .. part == ProxyPart.All ? dataplanes : dataplanes.Take(1),
            ];
            Tool.Run("kill", [kill ? "-KILL" : "-TERM", .. ends.Select(pid => pid.ToString(CultureInfo.InvariantCulture))]);
            if (part != ProxyPart.Dataplane)
            {
                await agent.WaitForExitAsync();
                agent.Dispose();
                await StartAgentAsync(node, ns);
            }

            await WaitUntilServedAsync(node, ns);
        }
    }

    private async Task StartAgentAsync(string node, NetworkNamespace ns) => _agents[node] = await BoundProcess.StartAsync(
        LogFile(node), ["nsenter", $"--net={ns.Path}", .. AgentEnvironment.Start(settings.Program), "agent", "--config", ConfigFile(node), "--state-dir", folder.StateOf(node)]);

    // The one that serves, first, and the one that waits to follow it.
    private async Task<int[]> DataplanesOfAsync(string node, NetworkNamespace ns)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            ToolResult status = Tool.Try("nsenter", [$"--net={ns.Path}", .. settings.Program, "status", "-o", "json", "--state-dir", folder.StateOf(node)]);
            if (JsonNode.Parse(status.Output)?["agent"] is JsonObject agent && (int?)agent["dataplane"]?["pid"] is int serving)
            {
                return (int?)agent["successor"] is int successor ? [serving, successor] : [serving];
            }

            if (patience.IsCancellationRequested)
            {
                throw new LabException($"The agent on {node} does not answer: {status.Errors}");
            }

            await Task.Delay(200);
        }
    }

    // The account of the manifest, its token and the cluster's own authority: what a pod would find in its files.
    private string WriteKubeconfig()
    {
        JsonNode account = kubectl.Get("-f", RightsFile)["items"]!.AsArray().First(i => (string)i!["kind"]! == "ServiceAccount")!["metadata"]!;
        string name = (string)account["name"]!;
        string ns = (string)account["namespace"]!;
        string token = kubectl.Run("create", "token", name, "-n", ns, "--duration", "2h").Trim();
        string path = Path.Combine(folder.Path, "clusterlb.kubeconfig");
        File.WriteAllText(path, kubectl.Run("config", "view", "--raw", "--minify", "--flatten"));
        Tool.Run(Kubectl.Program("kubectl"), ["--kubeconfig", path, "config", "set-credentials", "clusterlb", "--token", token]);
        Tool.Run(Kubectl.Program("kubectl"), ["--kubeconfig", path, "config", "set-context", "--current", "--user", "clusterlb"]);
        return path;
    }

    // By one request, as of kube-proxy: whoever asks by a process of its own takes the processor from those who are measured.
    private Task WaitUntilServedAsync(string node, NetworkNamespace ns) => WaitUntilInOrderAsync(
        node,
        async () => (await Request.GetAsync(ns, new IPEndPoint(IPAddress.Loopback, HealthPort), "/healthz", TimeSpan.FromSeconds(1))).Failure.Length == 0,
        TimeSpan.FromMilliseconds(50));

    private Task WaitUntilHealthyAsync(string node, NetworkNamespace ns) => WaitUntilInOrderAsync(
        node,
        () => Task.FromResult(Tool.Try("nsenter", [$"--net={ns.Path}", .. settings.Program, "status", "--state-dir", folder.StateOf(node)]).ExitCode == 0),
        TimeSpan.FromMilliseconds(200));

    private Task WaitUntilInOrderAsync(string node, Func<Task<bool>> holds, TimeSpan pause) => Wait.UntilAsync(
        holds,
        () => $"ClusterLb on {node} is not in order. The end of its log:\n" + string.Join('\n', File.ReadLines(LogFile(node)).TakeLast(20)),
        pause,
        Patience);

    private string ConfigFile(string node) => Path.Combine(folder.Path, $"clusterlb-{node}.yaml");

    private string LogFile(string node) => Path.Combine(folder.Path, $"clusterlb-{node}.log");
}
