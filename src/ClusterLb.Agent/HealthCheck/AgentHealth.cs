using System.Collections.Immutable;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Whether this node can be trusted with traffic, at one moment.</summary>
public sealed record AgentHealth
{
    /// <summary>IPv4 and IPv6, as far as this node has them.</summary>
    public required ImmutableArray<FamilyHealth> Families { get; init; }

    /// <summary>False while the node is being drained: balancers outside should not send new connections.</summary>
    public bool NodeEligible { get; init; } = true;

    /// <summary>Why not healthy, beside families that are late, each for people.</summary>
    public ImmutableArray<string> Reasons { get; init; } = [];

    /// <summary>What people should look at although traffic is served, a full map for example.</summary>
    public ImmutableArray<string> Warnings { get; init; } = [];

    /// <summary><see cref="Reasons"/> and the families that are late, each for people; empty if healthy.</summary>
    public IEnumerable<string> Problems => Reasons.Concat(
        Families.Where(family => !family.Healthy).Select(family => $"{family.Name}: changes wait since {HealthResponse.Rfc3339(family.LateSince!.Value)}"));

    /// <summary>Nothing is wrong. A node that is drained is healthy.</summary>
    public bool Healthy => Reasons.IsEmpty && Families.All(family => family.Healthy);

    /// <summary>When the maps were last known to be right, if they are not now: of the family that is late the longest, else the latest.</summary>
    public DateTimeOffset? LastUpdated => Families.Where(family => !family.Healthy).OrderBy(family => family.LateSince)
        .Concat(Families.OrderByDescending(family => family.LastUpdated)).FirstOrDefault().LastUpdated;
}
