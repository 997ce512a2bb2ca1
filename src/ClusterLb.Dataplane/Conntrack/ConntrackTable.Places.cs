using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which places are free: memory of this process only, an adopter finds out by reading the index.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    // Where a victim is looked for: in so many runs of so many places, all over the table. Enough to find the idlest hundredth of a
    // flood. Not in one run: long-lived flows lie side by side, a thousand of them would leave nothing to find.
    private const int EvictionRuns = 8;
    private const int EvictionRun = 8;

    // Multiples of it, modulo 1, lie as evenly as can be (Knuth, volume 3, section 6.4: the golden ratio).
    private const uint GoldenRatio = 0x9E37_79B9;

    private long _freeTop; // the place in the lower half, 0 if there is none; a count of changes in the upper half
    private int _fresh = 1; // places from here on were never used
    private int _evictionCursor;

    // Torn while the configuration changes, between workers: then another victim is chosen than the idlest.
    private FlowTimeouts _timeouts = new(NodeEntry.Default);

    /// <summary>Flows that had to go early because the table was full.</summary>
    public SharedTally Evicted { get; } = new();

    /// <summary>Asks for the place that the next flow will probably take.</summary>
    private void PrefetchFree()
    {
        uint top = (uint)Volatile.Read(ref _freeTop);
        nint place = top != 0 ? (nint)top : Math.Min(Volatile.Read(ref _fresh), Capacity);
        nint address = _places + (place * Unsafe.SizeOf<FlowPlace<TKey>>());
        MapFileInterop.Prefetch(address);
        MapFileInterop.Prefetch(address + MapFileSpec.BucketSize); // the next cache line
    }

    private bool TryTakePlace(long nowMs, out int place) =>
        TryPopFree(out place)
        || TryTakeFresh(out place)
        || (TryEvict(nowMs) && TryPopFree(out place));

    private bool TryTakeFresh(out int place)
    {
        place = 0;
        if (Volatile.Read(ref _fresh) > Capacity)
        {
            return false;
        }

        place = Interlocked.Increment(ref _fresh) - 1;
        if (place <= Capacity)
        {
            return true;
        }

        Interlocked.Decrement(ref _fresh);
        return false;
    }

    private bool TryPopFree(out int place)
    {
        long top = Volatile.Read(ref _freeTop);
        while ((uint)top != 0)
        {
            // The next place may be stale if somebody else takes this one first: then the count differs, and the swap fails.
            place = (int)(uint)top;
            uint next = Volatile.Read(ref PlaceAt(place).BackendId);
            long seen = Interlocked.CompareExchange(ref _freeTop, NextTop(top, next), top);
            if (seen == top)
            {
                return true;
            }

            top = seen;
        }

        place = 0;
        return false;
    }

    /// <summary>Gives a place back that no index word refers to.</summary>
    /// <returns>The last state of the flow that it held.</returns>
    private FlowState Release(int place)
    {
        ref FlowPlace<TKey> entry = ref PlaceAt(place);
        uint odd = Generation(entry.Life) | 1;

        // Odd first: the place is filled again only after the swap below, a full barrier. So whoever copies it across a change
        // of owner sees another generation at the end than at the beginning.
        // A swap, because a late worker may be changing the state: the one that comes first says whether the flow was closing.
        var last = (FlowState)(uint)Interlocked.Exchange(ref entry.Life, (ulong)odd << 32);
        long top = Volatile.Read(ref _freeTop);
        while (true)
        {
            Volatile.Write(ref entry.BackendId, (uint)top);
            long seen = Interlocked.CompareExchange(ref _freeTop, NextTop(top, (uint)place), top);
            if (seen == top)
            {
                return last;
            }

            top = seen;
        }
    }

    private static long NextTop(long top, uint place) => (((top >> 32) + 1) << 32) | place;

    /// <summary>How long flows may be silent, so that their expiry tells since when they are.</summary>
    public void UseTimeouts(in FlowTimeouts timeouts)
    {
        if (timeouts != _timeouts) // a line that all workers read stays theirs
        {
            _timeouts = timeouts;
        }
    }

    /// <summary>Makes room: of some flows, the one that was never established and is silent for longest must go.</summary>
    /// <remarks>A flood recycles its own flows; established ones are never touched. Silent, not expiring first: a datagram lives half as
    /// long as a SYN, and would never be answered in a flood of SYNs.</remarks>
    private bool TryEvict(long nowMs)
    {
        int victim = 0;
        uint victimGeneration = 0;
        long earliest = long.MaxValue;
        uint first = (uint)Interlocked.Add(ref _evictionCursor, EvictionRuns);
        for (uint run = first; run != first + EvictionRuns; run++)
        {
            uint start = (uint)(((ulong)(run * GoldenRatio) * (uint)Capacity) >> 32);
            for (uint i = 0; i < EvictionRun; i++)
            {
                int place = 1 + (int)((start + i) % (uint)Capacity);
                ref FlowPlace<TKey> entry = ref PlaceAt(place);
                ulong life = Volatile.Read(ref entry.Life);
                var state = (FlowState)(uint)life;
                long expires = Volatile.Read(ref entry.ExpiresMs);
                long heard = expires - _timeouts.Of(entry.Protocol, state);
                if (IsLive(Generation(life)) && heard < earliest && (expires <= nowMs || MayGoEarly(entry.Protocol, state)))
                {
                    (victim, victimGeneration, earliest) = (place, Generation(life), heard);
                }
            }
        }

        if (victim == 0 || !Remove(victim, victimGeneration))
        {
            return false;
        }

        Evicted.Count();
        return true;
    }

    private static bool MayGoEarly(IpProtocol protocol, FlowState state) => protocol == IpProtocol.Tcp
        ? (state & FlowState.Established) == FlowState.None || TcpFlow.IsClosing(state) || (state & FlowState.BackendGone) != FlowState.None
        : (state & FlowState.Established) == FlowState.None; // one question, maybe one answer: a forged question is answered, too
}
