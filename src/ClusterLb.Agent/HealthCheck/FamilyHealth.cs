using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Whether the maps of one family keep up with the changes.</summary>
/// <param name="Name">IPv4 or IPv6.</param>
/// <param name="LastUpdated">When they were last brought up to date; null before the first time.</param>
/// <param name="LateSince">When the oldest change came, if it has waited too long; else null.</param>
public readonly record struct FamilyHealth(string Name, DateTimeOffset? LastUpdated, DateTimeOffset? LateSince)
{
    /// <summary>No change has waited too long.</summary>
    public bool Healthy => LateSince is null;

    /// <summary>kube-proxy's measure: late is who has a change that came two sync periods ago, however many came since.</summary>
    public static FamilyHealth Of(string name, FamilyChanges changes, DateTimeOffset now, TimeSpan syncPeriod) =>
        new(name, changes.LastWritten, changes.PendingSince is { } since && now - since >= 2 * syncPeriod ? since : null);
}
