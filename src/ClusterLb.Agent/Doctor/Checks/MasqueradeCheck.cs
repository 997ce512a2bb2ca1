using ClusterLb.Agent.Firewall;
using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Nobody's masquerading comes before our null SNAT, so that backends see the client's address.</summary>
/// <remarks>The first nat chain that sets up a connection's source NAT wins.</remarks>
internal sealed class MasqueradeCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "masquerade";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        FirewallChain[] masquerading = [.. node.ForeignChains
            .Where(chain => chain.Hook == "postrouting" && node.Families.Any(chain.Sees) && chain.Rules.Any(rule => Rewrites(rule, chain, node)))];
        FirewallChain[] before = [.. masquerading.Where(chain => chain.Priority <= NftRuleset.PostroutingPriority)];
        if (before.Length > 0)
        {
            return Finding.Failed(
                $"{string.Join(", ", before.Select(chain => $"{chain} (priority {chain.Priority})"))} rewrites source addresses before ours (priority {NftRuleset.PostroutingPriority}) is asked",
                "backends may see the node's address instead of the client's", "leave packets from and to the device out of it, or give it a priority above ours");
        }

        return Finding.Ok(masquerading.Length == 0
            ? "nobody rewrites source addresses"
            : $"{string.Join(", ", masquerading.AsEnumerable())} rewrites source addresses; ours (priority {NftRuleset.PostroutingPriority}) is asked first and keeps them on both legs");
    }

    // Itself, or in a chain that it jumps to (KUBE-POSTROUTING, FLANNEL-POSTRTG, cali-nat-outgoing).
    private static bool Rewrites(FirewallRule rule, FirewallChain chain, NodeFacts node, int depth = 0) =>
        rule.Target is "masquerade" or "snat"
        || (depth < 8 && rule.Target.Length > 0 && node.ForeignChains
            .Where(other => other.Program == chain.Program && other.Family == chain.Family && other.Table == chain.Table && other.Name == rule.Target)
            .Any(other => other.Rules.Any(inner => Rewrites(inner, other, node, depth + 1))));
}
