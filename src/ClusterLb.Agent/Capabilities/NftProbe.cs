using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Capabilities;

/// <summary>What of nft this kernel takes: each expression that our table uses, in a table of its own that is checked and never loaded.</summary>
/// <remarks><c>nft --check</c> lets the kernel look at the whole transaction and then takes it back.</remarks>
internal static class NftProbe
{
    private static readonly (string Name, string Chain, string Without)[] Expressions =
    [
        ("nft conntrack mark", "chain c { type filter hook prerouting priority dstnat + 5; ct state new ct mark set ct mark | 0x1\n }",
            "the agent cannot steer: replies are known by a mark"),
        ("nft fib expression", "chain c { type filter hook prerouting priority dstnat + 5; fib daddr type local counter\n }",
            "the agent cannot steer node ports: they answer at local addresses only"),
        ("nft sets of frontends", "set s { type ipv4_addr . inet_proto . inet_service; }\n" +
            "chain c { type filter hook prerouting priority dstnat + 5; ip daddr . meta l4proto . th dport @s counter\n }",
            "the agent cannot steer load balancer and external addresses"),
        ("nft route chain", "chain c { type route hook output priority -95; meta mark set meta mark | 0x1\n }",
            "the agent cannot steer the node's own packets"),
        ("nft source NAT", "chain c { type nat hook postrouting priority srcnat - 10; meta nfproto ipv4 meta l4proto tcp snat ip to ip saddr\n }",
            "a CNI's masquerading hides the client's address"),
    ];

    /// <summary>A row for nft itself, one per expression, and one for the table of bridges.</summary>
    public static IEnumerable<Capability> Read()
    {
        const string Needed = "the agent does not start";
        if (Tool.Find("nft") is not { } path)
        {
            return [new Capability("nft", CapabilityState.No, "not in PATH", Needed)];
        }

        string version = Tool.Run("nft", ["--version"]).Trim();
        return
        [
            new Capability("nft", CapabilityState.Yes, $"{path}, {version}", Needed),
            .. Expressions.Select(e => Try(e.Name, $"table inet clb_probe {{\n{e.Chain}\n}}\n", e.Without)),
            Try("nft bridge family", BridgeRuleset.Probe, "only where pods are ports of a Linux bridge: services between two of them masquerade"),
        ];
    }

    private static Capability Try(string name, string ruleset, string without)
    {
        if (!Preflight.HasCapability(Preflight.NetAdmin))
        {
            return new Capability(name, CapabilityState.Unknown, "only root may ask the kernel", without);
        }

        try
        {
            Tool.Run("nft", ["--check", "-f", "-"], ruleset);
            return new Capability(name, CapabilityState.Yes, "the kernel takes it", without);
        }
        catch (SteeringException e)
        {
            return new Capability(name, CapabilityState.No, e.Message, without);
        }
    }
}
