using ClusterLb.Agent.Firewall;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>No kube-proxy and none of its rules are left: services that both know are served by it, for its rules come first.</summary>
internal sealed class KubeProxyCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "kube-proxy";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        int? running = KubeProxyTraces.FindProcess();
        FirewallChain[] chains = [.. node.ForeignChains.Where(KubeProxyTraces.IsOfKubeProxy)];
        bool hasIpvs = Directory.Exists($"/sys/class/net/{KubeProxyTraces.IpvsDevice}");
        if (running is null && chains.Length == 0 && !hasIpvs)
        {
            return Finding.Ok("no kube-proxy runs here, and none of its rules are left");
        }

        int services = chains.Sum(KubeProxyTraces.CountServices);
        string[] traces =
        [
            .. running is { } pid ? new[] { $"kube-proxy runs (process {pid})" } : [],
            .. chains.GroupBy(chain => $"{chain.Program} {chain.Family}").Select(group => $"{group.Count()} chains of kube-proxy in {group.First().Program} ({group.First().Family})"),
            .. services > 0 ? new[] { $"{services} rules that translate a service" } : [],
            .. hasIpvs ? new[] { $"the device {KubeProxyTraces.IpvsDevice} with service addresses" } : [],
        ];
        string text = string.Join(", ", traces);
        return running is not null
            ? Finding.Warning(text, "services are served by kube-proxy, whose rules come before ours: nothing is lost, and nothing is gained",
                "delete its DaemonSet, then run `clusterlb cleanup --kube-proxy`")
            : services > 0 || hasIpvs
                ? Finding.Failed($"{text}, and no kube-proxy runs", "services that these rules know go to backends of the day it stopped: they fail as pods change",
                    "run `clusterlb cleanup --kube-proxy`")
                : Finding.Warning($"{text}, and no kube-proxy runs", "no service is translated by them", "run `clusterlb cleanup --kube-proxy`");
    }
}
