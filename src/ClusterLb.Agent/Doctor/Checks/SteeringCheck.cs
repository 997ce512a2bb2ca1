using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Doctor.Checks;

/// <summary>What the agent installed in the kernel is still there: rules, routes, nft tables, device and its settings, and no rule 0.</summary>
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

        if (node.Agent?.Steering is { Installed: true, Ipv4Address.Length: 0, Ipv6Address.Length: 0 })
        {
            return Finding.Failed(
                "this node has no address but those of loopback and of its links", "no service traffic is steered: nothing could come back",
                "give it one; the agent follows at once");
        }

        string[] missing = [.. Missing(record)];
        if (missing.Length == 0 && node.Agent?.Steering.Contested is { Length: > 0 } contested)
        {
            return Finding.Warning(contested, "each time, some connections are reset or wait", "systemd-networkd: ManageForeignRoutingPolicyRules=no, " +
                "ManageForeignRoutes=no; firewalls: reload only their own tables, never `nft flush ruleset`");
        }

        string repairs = node.Agent is { Steering.Repairs: > 0 and var count } ? $"; the agent has put them back {count} times" : "";
        return missing.Length == 0
            ? Finding.Ok($"rules, routes, nft tables and device {record.Device} are as they were installed{repairs}")
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

            foreach (string route in MissingRoutes(record, ipv6))
            {
                yield return $"the {family} route {route}";
            }
        }

        // Forwarding and rp_filter have checks of their own.
        foreach ((string name, string wanted) in SteeringPlan.DeviceSettings(new SteeringInputs { Device = record.Device, Options = record.Options, Mtu = 0 }))
        {
            if (!name.EndsWith("/rp_filter", StringComparison.Ordinal) && Sysctls.Read(name) is { } value && value != wanted)
            {
                yield return $"{name} is {value} instead of {wanted}";
            }
        }

        foreach ((string table, LoadedNft? loaded) in ((string, LoadedNft?)[])[(NodeSteering.InetTable, record.Nft), (NodeSteering.BridgeTable, record.BridgeNft)])
        {
            if (table == NodeSteering.BridgeTable && loaded is null)
            {
                continue; // only where pods are on bridges
            }

            string listed = NodeSteering.ListNft(table);
            if (listed != loaded?.Listed)
            {
                yield return $"the nft table {table} is {(listed.Length == 0 ? "gone" : "not as it was loaded")}";
            }
        }
    }

    private static IEnumerable<string> MissingRoutes(SteeringRecord record, bool ipv6)
    {
        PlannedRoute[] present = [.. RoutingSnapshot.Routes(ipv6, record.Options.ServiceTable), .. RoutingSnapshot.Routes(ipv6, record.Options.MarkTable)];
        IEnumerable<PlannedRoute> known = record.Routes(ipv6) ?? [new PlannedRoute(record.Options.MarkTable, $"default dev {record.Device}")];
        foreach (PlannedRoute route in known.Except(present))
        {
            yield return $"{route.Text} of table {route.Table} is gone";
        }

        foreach (PlannedRoute route in record.Routes(ipv6) is null ? [] : present.Except(known))
        {
            yield return $"{route.Text} of table {route.Table} is none of ours";
        }
    }
}
