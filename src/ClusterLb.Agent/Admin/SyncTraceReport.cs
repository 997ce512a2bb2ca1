using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Admin;

/// <summary>Where the time of the last changes went: GET /sync/trace.</summary>
public sealed record SyncTraceReport
{
    /// <summary>From the first byte of the first list of the source to its last map entry; null if there was none yet, or none that tells its time.</summary>
    public double? FirstListMs { get; init; }

    /// <summary>By stage, over <see cref="Changes"/>.</summary>
    public required IReadOnlyList<StageLatency> Stages { get; init; }

    /// <summary>The changes that are remembered, the oldest first.</summary>
    public required IReadOnlyList<TracedChange> Changes { get; init; }
}
