using System.Net;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Routes of the outside namespace to service addresses by a node, as a router beside a cluster would have them.</summary>
internal sealed class OutsideRoute(ClusterSettings settings, Kubectl kubectl) : IDisposable
{
    private readonly List<string> _added = [];

    /// <summary>By the first node.</summary>
    public void Add(params IReadOnlyList<IPAddress> addresses) => AddVia(settings.Nodes.Keys.First(), addresses);

    /// <summary>By a node, at its address of the same family.</summary>
    public void AddVia(string node, params IReadOnlyList<IPAddress> addresses)
    {
        if (settings.Outside is not { } outside)
        {
            return;
        }

        IPAddress[] gateways = [.. kubectl.Get("node", node)["status"]!["addresses"]!.AsArray()
            .Where(a => (string)a!["type"]! == "InternalIP").Select(a => IPAddress.Parse((string)a!["address"]!))];
        foreach (IPAddress address in addresses)
        {
            string gateway = gateways.First(g => g.AddressFamily == address.AddressFamily).ToString();
            Tool.Run("nsenter", [$"--net={outside.Path}", "ip", "route", "replace", address.ToString(), "via", gateway]);
            _added.Add(address.ToString());
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
