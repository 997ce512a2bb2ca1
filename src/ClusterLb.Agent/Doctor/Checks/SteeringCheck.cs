using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>What the agent installed in the kernel is still there: rules, routes, nft table, device, and no rule 0.</summary>
internal sealed class SteeringCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "steering";

    /// <inheritdoc/>
    public Finding Look(NodeFacts node)
    {
        if (node.Steering is not { } record)
        {
            return node.RecordProblem.Length == 0
                ? Finding.NotApplicable("nothing is installed in this network namespace")
                : Finding.Failed(node.RecordProblem, "it is not known what was installed, nor what was there before", "start the agent: it takes over what it finds");
        }

        string[] missing = [.. Missing(record)];
        if (missing.Length == 0 && node.Agent?.Steering.Contested is { Length: > 0 } contested)
        {
            return Finding.Warning(contested, "each time, some connections are reset or wait", "systemd-networkd: ManageForeignRoutingPolicyRules=no, " +
                "ManageForeignRoutes=no; firewalls: reload only their own tables, never `nft flush ruleset`");
        }

        string repairs = node.Agent is { Steering.Repairs: > 0 and var count } ? $"; the agent has put them back {count} times" : "";
        return missing.Length == 0
            ? Finding.Ok($"rules, routes, nft table and device {record.Device} are as they were installed{repairs}")
            : Finding.Failed(
                string.Join("; ", missing), "service traffic of that kind is not steered, or sent out of the node",
                node.Agent is null ? "start the agent: it repairs them" : "the agent repairs them at once; if they go again, find who removes them (its log says how often)");
    }

    private static IEnumerable<string> Missing(SteeringRecord record)
    {
        if (RoutingSnapshot.Device(record.Device) is not { } device)
        {
            yield return $"the device {record.Device} is gone";
        }
        else if (!device.IsUp)
        {
            yield return $"the device {record.Device} is down";
        }

        foreach (bool ipv6 in Sysctls.KernelFamilies.Where(family => record.FoundRules(family) is not null))
        {
            string family = ipv6 ? "IPv6" : "IPv4";
            IReadOnlyList<string> rules = RoutingSnapshot.Rules(ipv6);
            foreach (string rule in SteeringPlan.Rules(record.Device, record.Options).Except(rules))
            {
                yield return $"the {family} rule '{rule}' is gone";
            }

            if (rules.Contains(SteeringPlan.KernelLocalRule))
            {
                yield return $"somebody put the {family} rule '{SteeringPlan.KernelLocalRule}' back before ours";
            }

            if (!RoutingSnapshot.Routes(ipv6, record.Options.MarkTable).Any(route => route.Text == $"default dev {record.Device}"))
            {
                yield return $"the {family} default route of table {record.Options.MarkTable} is gone";
            }
        }

        string listed = NodeSteering.ListNft();
        if (listed.Length == 0)
        {
            yield return $"the nft table inet {NftRuleset.Table} is gone";
        }
        else if (listed != record.Nft?.Listed)
        {
            yield return $"the nft table inet {NftRuleset.Table} is not as it was loaded";
        }
    }
}
