namespace ClusterLb.Agent.Firewall;

/// <summary>A chain of netfilter rules, whoever made it and with which program.</summary>
public sealed record FirewallChain
{
    /// <summary>The program that shows it: <c>iptables</c>, <c>ip6tables</c>, <c>iptables-legacy</c>, <c>ip6tables-legacy</c>, <c>nft</c>.</summary>
    public required string Program { get; init; }

    /// <summary><c>ip</c>, <c>ip6</c>, <c>inet</c>, <c>bridge</c> …</summary>
    public required string Family { get; init; }

    /// <summary>Name of its table.</summary>
    public required string Table { get; init; }

    /// <summary>Its own name.</summary>
    public required string Name { get; init; }

    /// <summary>Where packets come from by themselves: <c>forward</c>, <c>prerouting</c> …; empty for a chain that is only jumped to.</summary>
    public string Hook { get; init; } = "";

    /// <summary>Among the chains of that hook; lower comes first.</summary>
    public int Priority { get; init; }

    /// <summary><c>accept</c> or <c>drop</c>; empty for a chain that is only jumped to.</summary>
    public string Policy { get; init; } = "";

    /// <summary>Its rules, in order.</summary>
    public IReadOnlyList<FirewallRule> Rules { get; init; } = [];

    /// <summary>Packets of this address family come here.</summary>
    public bool Sees(bool ipv6) => Family == "inet" || Family == (ipv6 ? "ip6" : "ip");

    /// <summary><c>iptables filter FORWARD</c>, <c>nft inet firewalld filter_FORWARD</c>.</summary>
    public override string ToString() => Program == "nft" ? $"nft {Family} {Table} {Name}" : $"{Program} {Table} {Name}";
}
