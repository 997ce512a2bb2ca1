namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Expiry, off the packet path, and removal by hand.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    private int _sweepCursor;

    private int UsedPlaces => Math.Min(Volatile.Read(ref _fresh) - 1, Capacity);

    /// <summary>Looks at the next <paramref name="places"/> places and removes what has expired.</summary>
    /// <returns>Flows removed.</returns>
    public int Sweep(long nowMs, int places)
    {
        _file.Count = (ulong)Count; // for people, at most a round of sweeping old
        int used = UsedPlaces;
        if (used == 0)
        {
            return 0;
        }

        places = Math.Min(places, used);
        uint from = (uint)Interlocked.Add(ref _sweepCursor, places) - (uint)places;
        int removed = 0;
        for (uint i = 0; i < (uint)places; i++)
        {
            int place = 1 + (int)((from + i) % (uint)used);
            ref FlowPlace<TKey> entry = ref PlaceAt(place);
            uint generation = Generation(Volatile.Read(ref entry.Life));
            if (IsLive(generation) && Volatile.Read(ref entry.ExpiresMs) <= nowMs && Remove(place, generation, nowMs))
            {
                removed++;
            }
        }

        return removed;
    }

    /// <summary>Removes all flows that a filter matches. For the control path: reads the whole table.</summary>
    public int Flush(FlowFilter filter, long nowMs)
    {
        int removed = 0;
        for (int place = 1; place <= UsedPlaces; place++)
        {
            if (TryCopy(place, out FlowPlace<TKey> flow) && filter.Matches(FlowSnapshot.Of(flow, nowMs))
                && Remove(place, Generation(flow.Life)))
            {
                removed++;
            }
        }

        return removed;
    }

    /// <summary>All flows of this process's table.</summary>
    public IEnumerable<FlowSnapshot> List(long nowMs)
    {
        for (int place = 1; place <= UsedPlaces; place++)
        {
            if (TryCopy(place, out FlowPlace<TKey> flow))
            {
                yield return FlowSnapshot.Of(flow, nowMs);
            }
        }
    }

    private bool TryCopy(int place, out FlowPlace<TKey> copy)
    {
        uint generation = Generation(Volatile.Read(ref PlaceAt(place).Life));
        copy = PlaceAt(place);
        Volatile.ReadBarrier(); // the fields before the second look, as in a lookup
        return IsLive(generation) && Generation(Volatile.Read(ref PlaceAt(place).Life)) == generation;
    }
}
