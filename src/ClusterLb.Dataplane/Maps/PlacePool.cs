namespace ClusterLb.Dataplane.Maps;

/// <summary>Which places of a map its writer may use: free ones, and those that wait until no worker can hold them.</summary>
/// <remarks>Private memory of the writer; after a crash the adopter builds it anew from the index.</remarks>
internal sealed class PlacePool
{
    /// <summary>How long an update waits for workers when every place is taken. A worker passes a quiescent point after each batch,
    /// microseconds; one that does not within this time is stuck, and the update is refused.</summary>
    private static readonly TimeSpan MostPatience = TimeSpan.FromMilliseconds(20);

    private readonly Epochs _epochs;
    private readonly uint _places;
    private readonly Stack<uint> _free = new();
    private readonly Queue<(uint Place, ulong Epoch)> _retired = new(); // oldest first
    private uint _fresh;
    private ulong _stuckAt;

    /// <summary>A pool of the places that were never used.</summary>
    /// <param name="fresh">From this place on none was ever used: they need no list, and are taken in order, and only when
    /// no other is free. So a map touches the memory of the most entries that it ever had, not of all that would fit.</param>
    /// <param name="places">There are, place 0 included.</param>
    /// <param name="epochs">Who may hold a place.</param>
    public PlacePool(uint fresh, uint places, Epochs epochs)
    {
        _epochs = epochs;
        _fresh = fresh;
        _places = places;
    }

    /// <summary>Places that wait.</summary>
    public int RetiredCount => _retired.Count;

    /// <summary>A place that nobody can see; 0 if there is none.</summary>
    public uint Take()
    {
        if (_free.TryPop(out uint place))
        {
            return place;
        }

        if (_fresh < _places)
        {
            return _fresh++;
        }

        Reclaim();
        WaitForWorkers();
        return _free.TryPop(out place) ? place : 0;
    }

    /// <summary>Puts back a place that no reader has ever seen.</summary>
    public void Free(uint place) => _free.Push(place);

    /// <summary>Puts back a place that no word names any more, but that a worker may hold.</summary>
    public void Retire(uint place)
    {
        if (!_epochs.HasWorkers)
        {
            Free(place);
            return;
        }

        _retired.Enqueue((place, _epochs.Current));
    }

    /// <summary>Frees what no worker can hold any more.</summary>
    public void Reclaim()
    {
        if (_retired.Count == 0)
        {
            return;
        }

        ulong oldest = _epochs.AdvanceAndFindOldest();
        while (_retired.TryPeek(out (uint Place, ulong Epoch) first) && first.Epoch < oldest)
        {
            Free(first.Place);
            _retired.Dequeue();
        }
    }

    private void WaitForWorkers()
    {
        // Who waited in vain once does not wait again before a worker has moved: a full resync has thousands of updates.
        if (_free.Count > 0 || _retired.Count == 0 || _retired.Peek().Epoch == _stuckAt)
        {
            return;
        }

        long start = TimeProvider.System.GetTimestamp();
        while (_free.Count == 0 && TimeProvider.System.GetElapsedTime(start) < MostPatience)
        {
            Thread.Sleep(1);
            Reclaim();
        }

        _stuckAt = _free.Count == 0 ? _retired.Peek().Epoch : 0;
    }
}
