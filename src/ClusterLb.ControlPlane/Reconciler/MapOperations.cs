namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What was done to one map since the start. Written by the reconcile loop, read by any thread.</summary>
public sealed class MapOperations(string map)
{
    private long _updates;
    private long _deletes;
    private long _refusals;

    /// <summary>Its name: that of its file, or what the files of both families begin with.</summary>
    public string Map => map;

    /// <summary>Entries that were written.</summary>
    public long Updates => Volatile.Read(ref _updates);

    /// <summary>Entries that were deleted.</summary>
    public long Deletes => Volatile.Read(ref _deletes);

    /// <summary>Entries for which there was no room.</summary>
    public long Refusals => Volatile.Read(ref _refusals);

    internal void CountUpdate() => Volatile.Write(ref _updates, _updates + 1);

    internal void CountDelete() => Volatile.Write(ref _deletes, _deletes + 1);

    internal void CountRefusal() => Volatile.Write(ref _refusals, _refusals + 1);
}
