namespace ClusterLb.Agent.Steering;

/// <summary>How often what others take away is put back: at once, unless somebody does it again and again.</summary>
/// <remarks>Two programs that undo each other would keep a processor busy and the network flapping; then patience is better, and
/// people must be told. Not safe for concurrent use. Times are in milliseconds of any clock that only goes forward.</remarks>
internal sealed class RepairPace
{
    /// <summary>So many repairs within <see cref="WindowMs"/> are a fight.</summary>
    public const int Burst = 10;

    /// <summary>See <see cref="Burst"/>.</summary>
    public const long WindowMs = 30_000;

    /// <summary>Between two repairs while there is a fight.</summary>
    public const long PauseMs = 5_000;

    private readonly Queue<long> _repairs = new();
    private long _last = long.MinValue / 2;

    /// <summary>Somebody keeps taking away what we put back.</summary>
    public bool IsContested { get; private set; }

    /// <summary>All repairs there were.</summary>
    public long Count { get; private set; }

    /// <summary>A repair may be made now.</summary>
    public bool MayRepair(long nowMs) => !IsContested || nowMs - _last >= PauseMs;

    /// <summary>A repair was made.</summary>
    /// <returns>True if it makes a fight of it.</returns>
    public bool Note(long nowMs)
    {
        Count++;
        _last = nowMs;
        _repairs.Enqueue(nowMs);
        while (_repairs.Peek() <= nowMs - WindowMs)
        {
            _repairs.Dequeue();
        }

        bool begins = !IsContested && _repairs.Count >= Burst;
        IsContested |= begins;
        return begins;
    }

    /// <summary>Nothing had to be repaired at this look.</summary>
    /// <returns>True if that ends a fight: nobody has touched anything for as long as makes one.</returns>
    public bool NoteQuiet(long nowMs)
    {
        if (!IsContested || nowMs - _last < WindowMs)
        {
            return false;
        }

        IsContested = false;
        _repairs.Clear();
        return true;
    }
}
