namespace ClusterLb.ClusterRun.Changes;

/// <summary>How many there were, how many were lost, and the longest time that one took. Thread-safe.</summary>
internal sealed class Tally
{
    private int _total;
    private int _lost;
    private long _slowestTicks;

    public int Total => Volatile.Read(ref _total);

    public int Lost => Volatile.Read(ref _lost);

    /// <summary>Of those that were not lost.</summary>
    public TimeSpan Slowest => new(Interlocked.Read(ref _slowestTicks));

    public void AddLost()
    {
        Interlocked.Increment(ref _total);
        Interlocked.Increment(ref _lost);
    }

    public void Add(TimeSpan took)
    {
        Interlocked.Increment(ref _total);
        long seen = Interlocked.Read(ref _slowestTicks);
        while (took.Ticks > seen)
        {
            seen = Interlocked.CompareExchange(ref _slowestTicks, took.Ticks, seen);
        }
    }
}
