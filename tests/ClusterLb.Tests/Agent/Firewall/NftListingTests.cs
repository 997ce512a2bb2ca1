using ClusterLb.Agent.Firewall;

namespace ClusterLb.Tests.Agent.Firewall;

/// <summary>What <c>nft -j list ruleset</c> prints, read back.</summary>
public sealed class NftListingTests
{
    private const string Text =
        """
        {"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, {"table": {"family": "inet", "name": "t", "handle": 1}},
        {"chain": {"family": "inet", "table": "t", "name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
        {"chain": {"family": "inet", "table": "t", "name": "p", "handle": 2, "type": "nat", "hook": "postrouting", "prio": 50, "policy": "accept"}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, {"accept": null}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, 65536]}, "right": 65536}}, {"accept": null}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"|": [{"ct": {"key": "mark"}}, 131072]}}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 5}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"meta": {"key": "mark"}}}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 4294967040]}, 1]}}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "f", "expr": [{"counter": {"packets": 0, "bytes": 0}}, {"reject": {"type": "icmpx", "expr": "port-unreachable"}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "p", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}, {"masquerade": null}]}}]}
        """;

    private static readonly IReadOnlyList<FirewallChain> Chains = NftListing.Parse(Text);

    [Fact]
    public void Chains_have_hooks_priorities_and_targets()
    {
        Assert.Equal(("nft inet t f", "forward", 0, "drop"), (Chains[0].ToString(), Chains[0].Hook, Chains[0].Priority, Chains[0].Policy));
        Assert.Equal(("postrouting", 50, "masquerade"), (Chains[1].Hook, Chains[1].Priority, Chains[1].Rules.Single().Target));
        Assert.True(Chains[0].Rules[^1].EndsAll);
        Assert.Single(Chains[0].Rules, rule => rule.EndsAll);
        Assert.True(Chains[0].Sees(ipv6: true));
    }

    [Fact]
    public void The_bits_of_marks_are_those_that_the_expressions_touch() => Assert.Equal(
        [
            new MarkUse(false, 0x10000, false),
            new MarkUse(true, 0x20000, true),
            new MarkUse(false, 0xFFFF_FFFF, true), // a plain value writes every bit
            new MarkUse(true, 0xFFFF_FFFF, true), // and so does the other mark
            new MarkUse(false, 0xFF, true), // cleared, then one of them set
        ],
        Chains[0].Rules.SelectMany(rule => rule.Marks));
}
