using System.Text;
using ClusterLb.Agent.Firewall;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent;

/// <summary>Removes what a kube-proxy left on the node, as <c>kube-proxy --cleanup</c> would. Rules of others are not touched.</summary>
public static class KubeProxyCleanup
{
    /// <summary>Removes its chains of iptables, its tables of nft, and its IPVS device. What is not there is no error.</summary>
    /// <param name="say">One line per thing done.</param>
    /// <exception cref="AgentException">A kube-proxy runs, or something could not be removed.</exception>
    public static void Run(Action<string> say)
    {
        ArgumentNullException.ThrowIfNull(say);
        if (KubeProxyTraces.FindProcess() is { } pid)
        {
            throw new AgentException($"kube-proxy runs (process {pid}) and would put its rules back. Stop it first: delete its DaemonSet.");
        }

        try
        {
            IReadOnlyList<FirewallChain> chains = FirewallSnapshot.Read();
            foreach (IGrouping<string, FirewallChain> program in chains.Where(chain => chain.Program != "nft").GroupBy(chain => chain.Program))
            {
                RemoveChains(program.Key, [.. program], say);
            }

            foreach (var table in chains.Where(chain => chain.Program == "nft" && KubeProxyTraces.IsOfKubeProxy(chain)).Select(chain => (chain.Family, chain.Table)).Distinct())
            {
                Tool.Run("nft", ["delete", "table", table.Family, table.Table]);
                say($"Removed the nft table {table.Family} {table.Table}.");
            }

            if (Directory.Exists($"/sys/class/net/{KubeProxyTraces.IpvsDevice}"))
            {
                Tool.Run("ip", ["link", "del", KubeProxyTraces.IpvsDevice]);
                say($"Removed the device {KubeProxyTraces.IpvsDevice}. What ipvsadm -Ln still lists is no longer asked; `ipvsadm -C` empties it.");
            }
        }
        catch (SteeringException e)
        {
            throw new AgentException(e.Message, e);
        }
    }

    private static void RemoveChains(string program, FirewallChain[] chains, Action<string> say)
    {
        var script = new StringBuilder();
        int removed = 0;
        foreach (IGrouping<string, FirewallChain> table in chains.GroupBy(chain => chain.Table))
        {
            // A chain that somebody else's chain jumps to stays: deleting it would fail, or break him.
            HashSet<string> needed = [.. table.Where(chain => chain.Hook.Length == 0 && !KubeProxyTraces.IsOfKubeProxy(chain)).SelectMany(chain => chain.Rules).Select(rule => rule.Target)];
            string[] going = [.. table.Where(KubeProxyTraces.IsOfKubeProxy).Select(chain => chain.Name).Where(name => !needed.Contains(name))];
            if (going.Length == 0)
            {
                continue;
            }

            script.Append('*').Append(table.Key).Append('\n');
            foreach (FirewallChain chain in table.Where(chain => chain.Hook.Length > 0))
            {
                foreach (FirewallRule rule in chain.Rules.Where(rule => going.Contains(rule.Target)))
                {
                    script.Append("-D ").Append(chain.Name).Append(' ').Append(rule.Text).Append('\n');
                }
            }

            // Naming a chain empties it (--noflush keeps all others); only then can those that jump to each other go.
            script.AppendJoin("", going.Select(name => $":{name} - [0:0]\n")).AppendJoin("", going.Select(name => $"-X {name}\n")).Append("COMMIT\n");
            removed += going.Length;
        }

        if (removed > 0)
        {
            string restore = Tool.Find($"{program}-nft-restore") is not null ? $"{program}-nft-restore" : $"{program}-restore"; // as it was read
            Tool.Run(restore, ["-w", "--noflush"], script.ToString());
            say($"Removed {removed} chains of kube-proxy from {program}.");
        }
    }
}
