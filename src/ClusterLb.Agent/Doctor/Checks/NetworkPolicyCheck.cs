using ClusterLb.Agent.Firewall;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>Nobody enforces egress policies on pods' interfaces by the packet's destination, which is the service's there, not the pod's.</summary>
/// <remarks>docs/coexistence.md has what was tried: ingress policies hold, for the client's address is kept.</remarks>
internal sealed class NetworkPolicyCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "network policy";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        foreach ((string who, Func<FirewallChain, bool> isEgress, Func<FirewallChain, bool> isAny) in Enforcers)
        {
            if (!node.ForeignChains.Any(isAny))
            {
                continue;
            }

            int egress = node.ForeignChains.Count(chain => isEgress(chain));
            return egress == 0
                ? Finding.Ok($"{who} enforces policies here, none of them on what pods send; those on what pods receive see the client's address")
                : Finding.Warning(
                    $"{who} has {egress} chains with egress policies on what pods send",
                    "such a policy sees the service's address, not the chosen pod's: one that allows pods by label blocks the way to their services",
                    "allow the service range in such policies (it then allows every service; ingress policies of the backends still hold), or enforce them elsewhere: docs/coexistence.md");
        }

        return Finding.Ok("nobody is known to enforce NetworkPolicy by rules on pods' interfaces");
    }

    private static readonly (string Who, Func<FirewallChain, bool> IsEgress, Func<FirewallChain, bool> IsAny)[] Enforcers =
    [
        // cali-fw-INTERFACE: from the workload; it has a policy if it jumps to a cali-po- chain (policy, outbound).
        ("Calico", chain => chain.Name.StartsWith("cali-fw-", StringComparison.Ordinal)
            && chain.Rules.Any(rule => rule.Target.StartsWith("cali-po-", StringComparison.Ordinal) || rule.Text.Contains("cali-po-", StringComparison.Ordinal)),
            chain => chain.Name.StartsWith("cali-", StringComparison.Ordinal)),
        ("kube-router", chain => chain.Name.StartsWith("KUBE-POD-FW-", StringComparison.Ordinal)
            && chain.Rules.Any(rule => rule.Target.StartsWith("KUBE-NWPLCY-", StringComparison.Ordinal)),
            chain => chain.Name.StartsWith("KUBE-ROUTER-", StringComparison.Ordinal) || chain.Name.StartsWith("KUBE-POD-FW-", StringComparison.Ordinal)),
        ("Weave", chain => chain.Name.StartsWith("WEAVE-NPC-EGRESS", StringComparison.Ordinal) && chain.Rules.Count > 0,
            chain => chain.Name.StartsWith("WEAVE-NPC", StringComparison.Ordinal)),
    ];
}
