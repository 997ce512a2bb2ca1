using System.Collections.Immutable;

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

    /// <summary>Maps that had no room at the last try.</summary>
    public ImmutableArray<string> FullMaps { get; init; } = [];

    /// <summary>Services that are not in the maps completely, for lack of room.</summary>
    public int IncompleteServices { get; init; }

    /// <summary>Why the last sync failed; null if it did not.</summary>
    public string? LastError { get; init; }
}
