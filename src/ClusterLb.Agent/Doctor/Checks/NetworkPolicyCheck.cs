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
        (string Who, int Egress)[] here =
        [
            .. Enforcers.Where(enforcer => node.ForeignChains.Any(enforcer.IsAny))
                .Select(enforcer => (enforcer.Who, node.ForeignChains.Count(enforcer.IsEgress))),
        ];
        (string Who, int Egress)[] strict = [.. here.Where(enforcer => enforcer.Egress > 0)];
        return here.Length == 0 ? Finding.Ok("nobody is known to enforce NetworkPolicy by rules on pods' interfaces")
            : strict.Length == 0
                ? Finding.Ok($"enforced by {Names(here)}, nothing of it on what pods send; policies on what pods receive see the client's address")
                : Finding.Warning(
                    $"{Names(strict)} has {strict.Sum(enforcer => enforcer.Egress)} chains with egress policies on what pods send",
                    "such a policy sees the service's address, not the chosen pod's: one that allows pods by label blocks the way to their services",
                    "allow the service range in such policies (it then allows every service; ingress policies of the backends still hold), or enforce them elsewhere: docs/coexistence.md");

        static string Names((string Who, int)[] enforcers) => string.Join(" and ", enforcers.Select(enforcer => enforcer.Who));
    }

    // filter-cali-…: the same chains with the nftables backend.
    private static bool IsCalico(string chain, string kind) =>
        chain.StartsWith("cali-" + kind, StringComparison.Ordinal) || chain.StartsWith("filter-cali-" + kind, StringComparison.Ordinal);

    private static readonly (string Who, Func<FirewallChain, bool> IsEgress, Func<FirewallChain, bool> IsAny)[] Enforcers =
    [
        // cali-fw-INTERFACE: from the workload; it has a policy if it jumps to a cali-po- chain (policy, outbound).
        ("Calico", chain => IsCalico(chain.Name, "fw-")
            && chain.Rules.Any(rule => IsCalico(rule.Target, "po-") || rule.Text.Contains("cali-po-", StringComparison.Ordinal)),
            chain => IsCalico(chain.Name, "")),
        ("kube-router", chain => chain.Name.StartsWith("KUBE-POD-FW-", StringComparison.Ordinal)
            && chain.Rules.Any(rule => rule.Target.StartsWith("KUBE-NWPLCY-", StringComparison.Ordinal)),
            chain => chain.Name.StartsWith("KUBE-ROUTER-", StringComparison.Ordinal) || chain.Name.StartsWith("KUBE-POD-FW-", StringComparison.Ordinal)),
        ("Weave", chain => chain.Name.StartsWith("WEAVE-NPC-EGRESS", StringComparison.Ordinal) && chain.Rules.Count > 0,
            chain => chain.Name.StartsWith("WEAVE-NPC", StringComparison.Ordinal)),
    ];
}
