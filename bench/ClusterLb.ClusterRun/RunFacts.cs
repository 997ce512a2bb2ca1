using System.Globalization;
using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>What a report tells of its run: when, what, on which machine.</summary>
internal static class RunFacts
{
    /// <param name="settings">The cluster.</param>
    /// <param name="kubectl">To ask its version.</param>
    /// <param name="loads">Of each column its name, and the load average before and after it.</param>
    public static IReadOnlyList<string> Of(ClusterSettings settings, Kubectl kubectl, IEnumerable<(string Proxy, (string Before, string After) MachineLoad)> loads)
    {
        string version = (string?)JsonNode.Parse(kubectl.Run("version", "-o", "json"))?["serverVersion"]?["gitVersion"] ?? "?";
        string program = Tool.Run(settings.Program[0], [.. settings.Program.Skip(1), "version"]).Split('\n')[0].Trim();
        return
        [
            $"{DateTime.Now.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)}; Kubernetes and kube-proxy {version}; {program}; Linux {Environment.OSVersion.Version}",
            $"{settings.Nodes.Count} nodes on one machine with {Environment.ProcessorCount} processors for nodes, pods, control plane and load",
            "Load average before the first and after the last step: " + string.Join("; ", loads.Select(l => $"{l.Proxy} {l.MachineLoad.Before} and {l.MachineLoad.After}")),
        ];
    }
}
