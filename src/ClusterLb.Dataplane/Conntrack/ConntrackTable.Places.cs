using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which places are free: memory of this process only, an adopter finds out by reading the index.</summary>
internal sealed partial class ConntrackTable<TKey>
{
    // How many flows are looked at for one that may go early. Enough to find the idlest hundredth of a flood.
    private const int EvictionWindow = 64;

    private long _freeTop; // the place in the lower half, 0 if there is none; a count of changes in the upper half
    private int _fresh = 1; // places from here on were never used
    private int _evictionCursor;

    private long _evicted;

    /// <summary>Flows that had to go early because the table was full.</summary>
    public long Evicted => Volatile.Read(ref _evicted);

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

    /// <summary>Makes room: of a window of flows, the one that was never established and will expire first must go.</summary>
    /// <remarks>A flood of SYNs recycles its own flows; established ones are never touched.</remarks>
    private bool TryEvict(long nowMs)
    {
        int from = Interlocked.Add(ref _evictionCursor, EvictionWindow) - EvictionWindow;
        int victim = 0;
        uint victimGeneration = 0;
        long earliest = long.MaxValue;
        for (int i = 0; i < Math.Min(EvictionWindow, Capacity); i++)
        {
            int place = 1 + (int)((uint)(from + i) % (uint)Capacity);
            ref FlowPlace<TKey> entry = ref PlaceAt(place);
            ulong life = Volatile.Read(ref entry.Life);
            long expires = Volatile.Read(ref entry.ExpiresMs);
            if (IsLive(Generation(life)) && expires < earliest && (expires <= nowMs || MayGoEarly(entry.Protocol, (FlowState)(uint)life)))
            {
                (victim, victimGeneration, earliest) = (place, Generation(life), expires);
            }
        }

        if (victim == 0 || !Remove(victim, victimGeneration))
        {
            return false;
        }

        Interlocked.Increment(ref _evicted);
        return true;
    }

    private static bool MayGoEarly(IpProtocol protocol, FlowState state) => protocol == IpProtocol.Tcp
        ? (state & FlowState.Established) == FlowState.None || TcpFlow.IsClosing(state) || (state & FlowState.BackendGone) != FlowState.None
        : (state & FlowState.ReplySeen) == FlowState.None;
}
