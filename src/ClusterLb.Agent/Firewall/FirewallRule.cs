namespace ClusterLb.Agent.Firewall;

/// <summary>One rule.</summary>
public sealed record FirewallRule
{
    /// <summary>As iptables-save prints it, without <c>-A CHAIN</c>; of nft, its expressions as JSON.</summary>
    public required string Text { get; init; }

    /// <summary>The end of the rule: <c>accept</c>, <c>drop</c>, <c>reject</c>, <c>masquerade</c>, <c>snat</c>, or where it jumps to.</summary>
    public string Target { get; init; } = "";

    /// <summary>The rule asks nothing of a packet.</summary>
    public bool IsUnconditional { get; init; }

    /// <summary>It ends every packet that comes to it.</summary>
    public bool EndsAll => IsUnconditional && Target is ("drop" or "reject");

    /// <summary>Bits of marks that it looks at or writes.</summary>
    public IReadOnlyList<MarkUse> Marks { get; init; } = [];
}
