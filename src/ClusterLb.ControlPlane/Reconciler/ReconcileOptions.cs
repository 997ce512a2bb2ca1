namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>When the maps are brought up to date (iptables.minSyncPeriod and syncPeriod of kube-proxy's configuration).</summary>
public sealed record ReconcileOptions
{
    /// <summary>At least so long between two syncs; the first change after a pause is written at once. Default: 1 s.</summary>
    public TimeSpan MinSyncPeriod { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often all services are compared with the maps, changed or not; later if one comparison takes longer than a hundredth of it. Default: 30 s.</summary>
    public TimeSpan SyncPeriod { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>However long a comparison takes, one is made so often. Default: 15 minutes.</summary>
    public TimeSpan ConfigSyncPeriod { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>How backends are chosen where a service does not say.</summary>
    public SelectionOptions Selection { get; init; } = new();

    /// <summary>Every problem, so that one restart is enough to fix a bad file.</summary>
    public IEnumerable<string> Problems()
    {
        if (MinSyncPeriod < TimeSpan.Zero)
        {
            yield return $"minSyncPeriod is {MinSyncPeriod}, but must not be negative.";
        }

        if (SyncPeriod <= TimeSpan.Zero)
        {
            yield return $"syncPeriod is {SyncPeriod}, but must be positive.";
        }

        if (SyncPeriod < MinSyncPeriod)
        {
            yield return $"syncPeriod ({SyncPeriod}) must not be shorter than minSyncPeriod ({MinSyncPeriod}).";
        }
    }
}
