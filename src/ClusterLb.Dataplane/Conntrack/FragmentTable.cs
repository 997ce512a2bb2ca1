using System.Numerics;
using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>What the first fragments of datagrams told: their ports, which later ones lack. Of both families, shared by all workers.</summary>
/// <remarks>
/// <para>A datagram has one bucket of eight places. It gets an empty one, else the one that is forgotten soonest: what has expired, then
/// datagrams whose last fragment was seen, then the oldest. So a flood of first fragments pushes out old ones, never what has just come.</para>
/// <para>Nothing waits: a place is taken by compare-and-swap of its generation from even to odd, and whoever is second takes another.
/// A killed process leaves at most one place with an odd generation per worker, which the adopter empties.</para>
/// </remarks>
[SkipLocalsInit]
internal sealed class FragmentTable
{
    /// <summary>Longer than fragments of a datagram are apart behind the kernel's own reassembly, shorter than identifications repeat.</summary>
    internal const int TimeoutMs = 5_000;

    /// <summary>Behind the last fragment only those can come that were overtaken.</summary>
    internal const int OvertakenMs = 200;

    private const int Ways = 8;
    private const int MostVictims = 4;

    private readonly MapFile _file;
    private readonly nint _buckets;
    private readonly uint _bucketMask;
    private int _count;
    private int _sweepCursor;

    /// <summary>A table over a new file. Over one that another process wrote, call <see cref="Adopt"/> before anything else.</summary>
    public FragmentTable(MapFile file)
    {
        _file = file;
        _buckets = file.AddressOf(file.Spec.PlacesOffset) + (Ways * Unsafe.SizeOf<FragmentPlace>()); // place 0 is never used: nor is its bucket
        _bucketMask = (file.Spec.Places / Ways) - 2;
    }

    public MapFile File => _file;

    /// <summary>Datagrams that fit.</summary>
    public int Capacity => (int)(_bucketMask + 1) * Ways;

    /// <summary>Datagrams in the table, expired ones that were not swept yet included.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The file for so many datagrams, rounded up to a power of two.</summary>
    public static MapFileSpec SpecOf(string name, int capacity)
    {
        uint places = BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, Ways));
        return new MapFileSpec
        {
            Name = name,
            Capacity = places,
            Places = places + Ways,
            PlaceSize = (uint)Unsafe.SizeOf<FragmentPlace>(),
            KeySize = (uint)Unsafe.SizeOf<FragmentKey>(),
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
    }

    /// <summary>Remembers the ports of a first fragment; those of an earlier datagram with the same key are forgotten.</summary>
    /// <param name="first">Its tuple, as it was read.</param>
    /// <param name="id">Its identification.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    public FragmentResult Remember(in FlowTuple first, uint id, long nowMs)
    {
        var key = new FragmentKey(first, id);
        uint bucket = BucketOf(key);
        uint ports = ((uint)first.SourcePort << 16) | first.DestinationPort;
        for (int attempt = 0; attempt < MostVictims; attempt++)
        {
            ref FragmentPlace place = ref Victim(bucket, key, out uint generation);
            if ((generation & 1) != 0 || Interlocked.CompareExchange(ref place.Generation, generation + 1, generation) != generation)
            {
                continue;
            }

            // The swap is a full barrier: whoever reads a byte written below saw an odd generation before, or sees another one after.
            long expiresMs = place.ExpiresMs;
            bool isEvicted = expiresMs > nowMs + OvertakenMs && !place.Key.Matches(key);
            if (expiresMs == 0)
            {
                _file.Count = (ulong)Interlocked.Increment(ref _count);
            }

            place.Key = key;
            place.Ports = ports;
            place.Protocol = (uint)first.Protocol;
            place.ExpiresMs = nowMs + TimeoutMs;
            Volatile.Write(ref place.Generation, Next(generation)); // release: even again only when every byte is written
            return isEvicted ? FragmentResult.Evicted : FragmentResult.Remembered;
        }

        return FragmentResult.Busy;
    }

    /// <summary>Gives a later fragment the ports of its first one. Takes no lock.</summary>
    /// <param name="later">Its tuple, as it was read: without ports.</param>
    /// <param name="id">Its identification.</param>
    /// <param name="isLast">No other follows, unless it was overtaken.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="whole">The tuple of the datagram.</param>
    public bool TryRecall(in FlowTuple later, uint id, bool isLast, long nowMs, out FlowTuple whole)
    {
        var key = new FragmentKey(later, id);
        uint bucket = BucketOf(key);
        for (uint at = bucket * Ways; at < (bucket + 1) * Ways; at++)
        {
            ref FragmentPlace place = ref PlaceAt(at);
            uint generation = Volatile.Read(ref place.Generation); // acquire: before the fields
            if (!IsWhole(generation) || !place.Key.Matches(key))
            {
                continue;
            }

            long expiresMs = place.ExpiresMs;
            uint ports = place.Ports;
            uint protocol = place.Protocol;
            Volatile.ReadBarrier(); // the fields before the second look: a writer made the generation odd before it changed them
            if (Volatile.Read(ref place.Generation) != generation || expiresMs <= nowMs)
            {
                continue;
            }

            if (isLast)
            {
                // A store cannot be bound to the generation: a datagram that has just got the place may have to hurry, and is complete
                // within these milliseconds all the same.
                Volatile.Write(ref place.ExpiresMs, nowMs + OvertakenMs);
            }

            whole = later with { SourcePort = (ushort)(ports >> 16), DestinationPort = (ushort)ports, Protocol = (IpProtocol)protocol };
            return true;
        }

        whole = later;
        return false;
    }

    /// <summary>Looks at the next <paramref name="places"/> places and empties those that have expired.</summary>
    public void Sweep(long nowMs, int places)
    {
        if (Count == 0)
        {
            return;
        }

        places = Math.Min(places, Capacity);
        uint from = (uint)Interlocked.Add(ref _sweepCursor, places) - (uint)places;
        for (uint i = 0; i < (uint)places; i++)
        {
            ref FragmentPlace place = ref PlaceAt((from + i) & (uint)(Capacity - 1));
            uint generation = Volatile.Read(ref place.Generation);
            long expiresMs = place.ExpiresMs;
            if (IsWhole(generation) && expiresMs != 0 && expiresMs <= nowMs
                && Interlocked.CompareExchange(ref place.Generation, generation + 1, generation) == generation)
            {
                Empty(ref place, Next(generation));
                _file.Count = (ulong)Interlocked.Decrement(ref _count);
            }
        }
    }

    /// <summary>Empties what a killed process left half written. Nobody else may use the table meanwhile.</summary>
    public void Adopt()
    {
        _count = 0;
        for (uint i = 0; i < (uint)Capacity; i++)
        {
            ref FragmentPlace place = ref PlaceAt(i);
            if ((place.Generation & 1) != 0)
            {
                Empty(ref place, place.Generation + 1 == 0 ? 2 : place.Generation + 1);
            }

            _count += place.ExpiresMs == 0 ? 0 : 1;
        }

        _file.Count = (ulong)_count;
    }

    private static void Empty(ref FragmentPlace place, uint generation)
    {
        place.Key = default;
        place.ExpiresMs = 0;
        Volatile.Write(ref place.Generation, generation);
    }

    /// <summary>The place of the same key, else the one that is forgotten soonest, an empty one first.</summary>
    private ref FragmentPlace Victim(uint bucket, in FragmentKey key, out uint generation)
    {
        uint victim = bucket * Ways;
        long soonest = long.MaxValue;
        generation = 1; // odd: nothing here can be taken
        for (uint at = bucket * Ways; at < (bucket + 1) * Ways; at++)
        {
            ref FragmentPlace place = ref PlaceAt(at);
            uint seen = Volatile.Read(ref place.Generation);
            if ((seen & 1) != 0)
            {
                continue; // somebody is writing it
            }

            long expiresMs = place.ExpiresMs;
            if (expiresMs != 0 && place.Key.Matches(key))
            {
                generation = seen;
                return ref place;
            }

            if (expiresMs < soonest)
            {
                (victim, generation, soonest) = (at, seen, expiresMs);
            }
        }

        return ref PlaceAt(victim);
    }

    private static bool IsWhole(uint generation) => generation != 0 && (generation & 1) == 0;

    /// <summary>Even, and never 0: that means that a place was never used.</summary>
    private static uint Next(uint generation) => generation + 2 == 0 ? 2 : generation + 2;

    private uint BucketOf(in FragmentKey key) => (uint)(SeededHash.Of(key, _file.Seed0, _file.Seed1) >> 32) & _bucketMask;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref FragmentPlace PlaceAt(uint place) => ref Unsafe.As<byte, FragmentPlace>(
        ref MapFileInterop.Reference(_buckets + ((nint)place * Unsafe.SizeOf<FragmentPlace>())));
}
