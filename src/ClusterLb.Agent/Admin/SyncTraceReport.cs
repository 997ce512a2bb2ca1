using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Admin;

/// <summary>Where the time of the last changes went: GET /sync/trace.</summary>
public sealed record SyncTraceReport
{
    /// <summary>By stage, over <see cref="Changes"/>.</summary>
    public required IReadOnlyList<StageLatency> Stages { get; init; }

    /// <summary>The changes that are remembered, the oldest first.</summary>
    public required IReadOnlyList<TracedChange> Changes { get; init; }
}
