using System.Numerics;
using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which backend a client had last at a service port: the memory behind sessionAffinity, of one family, shared by all workers.</summary>
/// <remarks>
/// <para>A client has two candidate buckets of eight places, and an entry may be in any of the sixteen. Nothing moves, and nothing else
/// says which places are free: a killed process leaves at most one half-written place per worker, which has an odd generation.</para>
/// <para>A place is taken, changed or emptied by compare-and-swap of its generation from even to odd: whoever is second leaves it alone.
/// What that cannot prevent is two entries of one client; so who adds one holds a stripe of locks in ordinary memory, for some
/// hundred nanoseconds. Who cannot have it soon does not wait: the client is not pinned by this connection, which is counted.</para>
/// <para>Full means that all sixteen places of a client are taken: then the one that expires has to go, else the one that was not used
/// for longest.</para>
/// </remarks>
[SkipLocalsInit]
internal sealed class AffinityTable<TKey>
    where TKey : unmanaged, IAffinityKey<TKey>
{
    private const int Ways = 8;
    private const int Stripes = 256;
    private const int StripeStride = 16; // ints: a cache line each
    private const int MostSpins = 200; // the holder needs a hundred nanoseconds, unless the kernel stopped it
    private const int MostVictims = 4;

    private readonly MapFile _file;
    private readonly nint _buckets;
    private readonly uint _bucketMask;
    private readonly int[] _locks = new int[Stripes * StripeStride];
    private int _count;
    private int _sweepCursor;

    /// <summary>A table over a new file. Over one that another process wrote, call <see cref="Adopt"/> before anything else.</summary>
    public AffinityTable(MapFile file)
    {
        _file = file;
        _buckets = file.AddressOf(file.Spec.PlacesOffset) + (Ways * TKey.PlaceSize); // place 0 is never used: nor is its bucket
        _bucketMask = (file.Spec.Places / Ways) - 2;
    }

    public MapFile File => _file;

    /// <summary>Entries, expired ones that were not swept yet included.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Entries that were still good and had to go, because all places of another client were taken.</summary>
    public SharedTally Evicted { get; } = new();

    /// <summary>Connections whose client could not be pinned at once.</summary>
    public SharedTally Unpinned { get; } = new();

    private int Places => (int)(_bucketMask + 1) * Ways;

    /// <summary>The file for so many entries: a third more places at least, in buckets of eight.</summary>
    public static MapFileSpec SpecOf(string name, int capacity)
    {
        uint buckets = Math.Max(2, BitOperations.RoundUpToPowerOf2((((uint)capacity * 4 / 3) + Ways - 1) / Ways));
        return new MapFileSpec
        {
            Name = name,
            LayoutVersion = 1,
            Capacity = (uint)capacity,
            Places = (buckets + 1) * Ways,
            PlaceSize = (uint)TKey.PlaceSize,
            KeySize = (uint)Unsafe.SizeOf<TKey>(),
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
    }

    /// <summary>The backend that a client had within the timeout; using it counts from now on.</summary>
    /// <param name="key">Whose.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="timeoutSeconds">As the service says now, whatever it said then.</param>
    /// <param name="backendId">Whether it may still be used the caller must know.</param>
    public bool TryUse(in TKey key, long nowMs, uint timeoutSeconds, out uint backendId)
    {
        ref AffinityPlace<TKey> place = ref Find(key, HashOf(key));
        if (Unsafe.IsNullRef(ref place) || !TryRead(ref place, key, out uint generation, out backendId, out ulong use)
            || nowMs - AffinityUse.LastUsedMs(use) >= timeoutSeconds * 1000L)
        {
            backendId = 0;
            return false;
        }

        // A store cannot be bound to the generation. Between the two looks a worker that the kernel stops may see the place given to
        // another client, which then stays pinned for one timeout more: it is the same as if that one had connected once more.
        if (Volatile.Read(ref place.Generation) == generation)
        {
            Volatile.Write(ref place.Use, AffinityUse.Pack(nowMs, timeoutSeconds));
        }

        return true;
    }

    /// <summary>Pins a client to a backend.</summary>
    /// <param name="key">Whose.</param>
    /// <param name="backendId">What was chosen.</param>
    /// <param name="insteadOf">What the client was pinned to and cannot have any more; 0 if it was not pinned.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="timeoutSeconds">Of the service.</param>
    /// <returns>What the client is pinned to: another backend if another worker was first.</returns>
    public uint Pin(in TKey key, uint backendId, uint insteadOf, long nowMs, uint timeoutSeconds)
    {
        ulong hash = HashOf(key);
        ref int gate = ref _locks[(int)(hash % Stripes) * StripeStride];
        if (!TryEnter(ref gate))
        {
            Unpinned.Count();
            return backendId;
        }

        uint pinned = PinLocked(key, hash, backendId, insteadOf, nowMs, timeoutSeconds);
        Volatile.Write(ref gate, 0); // release: what was written is visible to the next holder
        return pinned;
    }

    /// <summary>Looks at the next <paramref name="places"/> places and empties those that have expired.</summary>
    /// <returns>Entries removed.</returns>
    public int Sweep(long nowMs, int places)
    {
        if (Count == 0)
        {
            return 0;
        }

        places = Math.Min(places, Places);
        uint from = (uint)Interlocked.Add(ref _sweepCursor, places) - (uint)places;
        int removed = 0;
        for (uint i = 0; i < (uint)places; i++)
        {
            ref AffinityPlace<TKey> place = ref PlaceAt((from + i) % (uint)Places);
            uint generation = Volatile.Read(ref place.Generation);
            if (IsWhole(generation) && place.Key.ServicePortId != 0 && AffinityUse.ExpiresMs(Volatile.Read(ref place.Use)) <= nowMs
                && TryEmpty(ref place, generation))
            {
                removed++;
            }
        }

        return removed;
    }

    /// <summary>Empties what a killed process left half written or in the wrong bucket.</summary>
    /// <returns>Entries kept and places emptied.</returns>
    /// <remarks>Nobody else may use the table meanwhile.</remarks>
    public (int Kept, int Dropped) Adopt()
    {
        int kept = 0;
        int dropped = 0;
        for (uint i = 0; i < (uint)Places; i++)
        {
            ref AffinityPlace<TKey> place = ref PlaceAt(i);
            if (place.Generation == 0 || (IsWhole(place.Generation) && place.Key.ServicePortId == 0))
            {
                continue;
            }

            ulong hash = HashOf(place.Key);
            if (IsWhole(place.Generation) && (i / Ways == First(hash) || i / Ways == Second(hash)))
            {
                kept++;
                continue;
            }

            uint odd = place.Generation | 1;
            place = default;
            place.Generation = odd + 1;
            dropped++;
        }

        _count = kept;
        _file.Count = (ulong)kept;
        return (kept, dropped);
    }

    /// <summary>Copies all entries into an empty table of another capacity; what does not fit there pushes the oldest out.</summary>
    public void CopyTo(AffinityTable<TKey> fresh)
    {
        for (uint i = 0; i < (uint)Places; i++)
        {
            AffinityPlace<TKey> entry = PlaceAt(i);
            if (IsWhole(entry.Generation) && entry.Key.ServicePortId != 0)
            {
                fresh.TryWrite(ref fresh.Victim(fresh.HashOf(entry.Key), AffinityUse.LastUsedMs(entry.Use), out uint generation), generation, entry.Key, entry.BackendId, entry.Use);
            }
        }
    }

    private uint PinLocked(in TKey key, ulong hash, uint backendId, uint insteadOf, long nowMs, uint timeoutSeconds)
    {
        ulong use = AffinityUse.Pack(nowMs, timeoutSeconds);
        ref AffinityPlace<TKey> place = ref Find(key, hash);
        if (!Unsafe.IsNullRef(ref place) && TryRead(ref place, key, out uint generation, out uint other, out ulong before))
        {
            bool isFirst = other == insteadOf || other == backendId || nowMs - AffinityUse.LastUsedMs(before) >= timeoutSeconds * 1000L;
            if (!isFirst)
            {
                return other; // another worker has just pinned the client
            }

            if (TryWrite(ref place, generation, key, backendId, use))
            {
                return backendId;
            }
        }

        for (int attempt = 0; attempt < MostVictims; attempt++)
        {
            place = ref Victim(hash, nowMs, out generation);
            bool isEvicted = place.Key.ServicePortId != 0 && AffinityUse.ExpiresMs(Volatile.Read(ref place.Use)) > nowMs;
            if (TryWrite(ref place, generation, key, backendId, use))
            {
                if (isEvicted)
                {
                    Evicted.Count();
                }

                return backendId;
            }
        }

        Unpinned.Count(); // others were faster four times: not by chance
        return backendId;
    }

    /// <summary>The place to give to a client that has none: an empty one of the emptier bucket, else one that has expired, else the one
    /// unused for longest.</summary>
    private ref AffinityPlace<TKey> Victim(ulong hash, long nowMs, out uint generation)
    {
        uint first = LeastWanted(First(hash), nowMs, out generation, out ulong rank, out int empty);
        uint second = LeastWanted(Second(hash), nowMs, out uint otherGeneration, out ulong otherRank, out int otherEmpty);
        if (otherEmpty > empty || (otherEmpty == empty && otherRank < rank))
        {
            generation = otherGeneration;
            return ref PlaceAt(second);
        }

        return ref PlaceAt(first);
    }

    private uint LeastWanted(uint bucket, long nowMs, out uint generation, out ulong rank, out int empty)
    {
        uint victim = bucket * Ways;
        generation = 1; // odd: nothing here can be taken
        rank = ulong.MaxValue;
        empty = 0;
        for (uint at = bucket * Ways; at < (bucket + 1) * Ways; at++)
        {
            ref AffinityPlace<TKey> place = ref PlaceAt(at);
            uint seen = Volatile.Read(ref place.Generation);
            if ((seen & 1) != 0)
            {
                continue; // somebody is writing it
            }

            bool isEmpty = place.Key.ServicePortId == 0;
            ulong use = Volatile.Read(ref place.Use);
            ulong wanted = isEmpty ? 0 : AffinityUse.ExpiresMs(use) <= nowMs ? 1 : use;
            empty += isEmpty ? 1 : 0;
            if (wanted < rank)
            {
                (victim, generation, rank) = (at, seen, wanted);
            }
        }

        return victim;
    }

    private bool TryWrite(ref AffinityPlace<TKey> place, uint generation, in TKey key, uint backendId, ulong use)
    {
        // The swap is a full barrier: whoever copies a byte written below saw an odd generation before, or sees another one after.
        if ((generation & 1) != 0 || Interlocked.CompareExchange(ref place.Generation, generation + 1, generation) != generation)
        {
            return false;
        }

        if (place.Key.ServicePortId == 0)
        {
            _file.Count = (ulong)Interlocked.Increment(ref _count);
        }

        place.Key = key;
        place.BackendId = backendId;
        Volatile.Write(ref place.Use, use);
        Volatile.Write(ref place.Generation, Next(generation)); // release: even again only when every byte is written
        return true;
    }

    private bool TryEmpty(ref AffinityPlace<TKey> place, uint generation)
    {
        if (Interlocked.CompareExchange(ref place.Generation, generation + 1, generation) != generation)
        {
            return false;
        }

        place.Key = default;
        place.BackendId = 0;
        Volatile.Write(ref place.Use, 0);
        Volatile.Write(ref place.Generation, Next(generation));
        _file.Count = (ulong)Interlocked.Decrement(ref _count);
        return true;
    }

    /// <summary>A place with this key, which may change at any time; null if there is none.</summary>
    private ref AffinityPlace<TKey> Find(in TKey key, ulong hash)
    {
        ref AffinityPlace<TKey> place = ref FindIn(First(hash), key);
        return ref Unsafe.IsNullRef(ref place) ? ref FindIn(Second(hash), key) : ref place;
    }

    private ref AffinityPlace<TKey> FindIn(uint bucket, in TKey key)
    {
        for (uint way = 0; way < Ways; way++)
        {
            ref AffinityPlace<TKey> place = ref PlaceAt((bucket * Ways) + way);
            if (place.Key.Matches(key))
            {
                return ref place;
            }
        }

        return ref Unsafe.NullRef<AffinityPlace<TKey>>();
    }

    /// <summary>Copies a place if it has this key and is whole.</summary>
    private static bool TryRead(ref AffinityPlace<TKey> place, in TKey key, out uint generation, out uint backendId, out ulong use)
    {
        generation = Volatile.Read(ref place.Generation); // acquire: before the fields
        bool isKey = place.Key.Matches(key);
        backendId = place.BackendId;
        use = Volatile.Read(ref place.Use);
        Volatile.ReadBarrier(); // the fields before the second look: a writer made the generation odd before it changed them
        return isKey && IsWhole(generation) && Volatile.Read(ref place.Generation) == generation;
    }

    private static bool TryEnter(ref int gate)
    {
        var spin = default(SpinWait);
        for (int i = 0; Interlocked.CompareExchange(ref gate, 1, 0) != 0; i++)
        {
            if (i == MostSpins)
            {
                return false;
            }

            spin.SpinOnce(sleep1Threshold: -1);
        }

        return true;
    }

    private static bool IsWhole(uint generation) => generation != 0 && (generation & 1) == 0;

    /// <summary>Even, and never 0: that means that a place was never used.</summary>
    private static uint Next(uint generation) => generation + 2 == 0 ? 2 : generation + 2;

    private uint First(ulong hash) => (uint)(hash >> 32) & _bucketMask;

    private uint Second(ulong hash) => (First(hash) ^ ((uint)hash | 1)) & _bucketMask; // always another one

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref AffinityPlace<TKey> PlaceAt(uint place) => ref Unsafe.As<byte, AffinityPlace<TKey>>(
        ref MapFileInterop.Reference(_buckets + ((nint)place * TKey.PlaceSize)));

    private ulong HashOf(in TKey key) => SeededHash.Of(key, _file.Seed0, _file.Seed1);
}
