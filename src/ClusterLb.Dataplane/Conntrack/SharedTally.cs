namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Counts what rarely happens to a table that all workers share, until one of them takes it over into its own counters.</summary>
/// <remarks>Thread-safe; nobody waits.</remarks>
internal sealed class SharedTally
{
    private long _total;
    private long _untaken;

    /// <summary>Since the table was made.</summary>
    public long Total => Volatile.Read(ref _total);

    /// <summary>It has happened once more.</summary>
    public void Count()
    {
        Interlocked.Increment(ref _total);
        Interlocked.Increment(ref _untaken);
    }

    /// <summary>How often since the last call: every time is told to one caller only.</summary>
    public long Take() => Volatile.Read(ref _untaken) == 0 ? 0 : Interlocked.Exchange(ref _untaken, 0);
}
