using System.Net;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Routes of the outside namespace to service addresses by a node, as a router beside a cluster would have them.</summary>
internal sealed class OutsideRoute(ClusterSettings settings, Kubectl kubectl) : IDisposable
{
    private readonly List<string> _added = [];

    public void Add(params IReadOnlyList<IPAddress> addresses)
    {
        if (settings.Outside is not { } outside)
        {
            return;
        }

        string node = kubectl.Get("node", settings.Nodes.Keys.First())["status"]!["addresses"]!.AsArray()
            .Where(a => (string)a!["type"]! == "InternalIP").Select(a => (string)a!["address"]!).First();
        foreach (IPAddress address in addresses)
        {
            Tool.Run("nsenter", [$"--net={outside.Path}", "ip", "route", "replace", $"{address}/32", "via", node]);
            _added.Add($"{address}/32");
        }
    }

    public void Dispose()
    {
        foreach (string route in _added)
        {
            Tool.Try("nsenter", [$"--net={settings.Outside!.Path}", "ip", "route", "del", route]);
        }
    }
}
