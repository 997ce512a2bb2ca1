using System.Collections.Immutable;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Whether this node can be trusted with traffic, at one moment.</summary>
public sealed record AgentHealth
{
    /// <summary>IPv4 and IPv6, as far as this node has them.</summary>
    public required ImmutableArray<string> Families { get; init; }

    /// <summary>When the maps were last known to be right: now, unless changes are overdue; null before the first sync.</summary>
    public DateTimeOffset? LastUpdated { get; init; }

    /// <summary>False while the node is being drained: balancers outside should not send new connections.</summary>
    public bool NodeEligible { get; init; } = true;

    /// <summary>Why not healthy, each for people; empty if healthy.</summary>
    public ImmutableArray<string> Reasons { get; init; } = [];

    /// <summary>Nothing is wrong. A node that is drained is healthy.</summary>
    public bool Healthy => Reasons.IsEmpty;
}
