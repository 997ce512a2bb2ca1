using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>How far the maps are: for health, metrics and the status command. A snapshot.</summary>
public sealed record ReconcileStatus
{
    /// <summary>A complete list was written to the maps in this life.</summary>
    public bool IsSynced { get; init; }

    /// <summary>When the last sync ended; null before the first.</summary>
    public DateTimeOffset? LastSync { get; init; }

    /// <summary>How long the last sync took.</summary>
    public TimeSpan LastDuration { get; init; }

    /// <summary>When the oldest change came that is not in the maps yet; null if all are.</summary>
    public DateTimeOffset? PendingSince { get; init; }

    /// <summary>Which <see cref="Model.ClusterStateStore.SetNetwork"/> the maps follow; 0 before the first.</summary>
    public long NetworkVersion { get; init; }

    /// <summary>Services in the maps.</summary>
    public int Services { get; init; }

    /// <summary>Backends in the maps.</summary>
    public int Backends { get; init; }

    /// <summary>Entries written or deleted since the start.</summary>
    public long Writes { get; init; }

    /// <summary>Syncs since the start.</summary>
    public long Syncs { get; init; }

    /// <summary>Syncs since the start that compared every service with the maps.</summary>
    public long Resyncs { get; init; }

    /// <summary>Entries that the last of them had to write: 0 unless somebody else wrote to the maps, or a sync before had failed.</summary>
    public long ResyncWrites { get; init; }

    /// <summary>Maps that had no room at the last try.</summary>
    public ImmutableArray<string> FullMaps { get; init; } = [];

    /// <summary>Services that are not in the maps completely, for lack of room.</summary>
    public int IncompleteServices { get; init; }

    /// <inheritdoc cref="MapReconciler.ExternalFrontends"/>
    public ImmutableHashSet<FrontendKey> ExternalFrontends { get; init; } = [];

    /// <summary>What the health check node ports must answer, by service; a new dictionary whenever one of them changes.</summary>
    public ImmutableDictionary<ObjectName, ServiceHealth> HealthChecks { get; init; } = ImmutableDictionary<ObjectName, ServiceHealth>.Empty;

    /// <summary>Service ports that drop traffic for want of a backend on this node.</summary>
    public NoLocalBackends NoLocalBackends { get; init; }

    /// <summary>Why the last sync failed; null if it did not.</summary>
    public string? LastError { get; init; }
}
