using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <content>The one writer. Not thread-safe.</content>
internal sealed partial class HashMap<TKey, TValue>
{
    private PlacePool? _pool;

    /// <summary>Anonymous memory, with its writer; readers in this process need no generation check.</summary>
    /// <param name="name">For people.</param>
    /// <param name="capacity">Entries.</param>
    /// <param name="epochs">Who may hold places; none: places are reused at once.</param>
    public static HashMap<TKey, TValue> CreateAnonymous(string name, int capacity, Epochs? epochs = null)
    {
        var map = new HashMap<TKey, TValue>(MapFile.CreateAnonymous(Spec(name, capacity)), isOutside: false);
        map.Adopt(epochs ?? Epochs.None);
        return map;
    }

    /// <summary>Inserts or replaces.</summary>
    /// <returns><see cref="MapResult.Full"/> if the capacity is reached, if both buckets of the key are full, or if all places
    /// wait for a worker that does not move on: nothing was changed then.</returns>
    public MapResult Update(in TKey key, in TValue value) => Update(key, value, []);

    /// <summary>Inserts or replaces, with what lies behind the value.</summary>
    /// <inheritdoc cref="Update(in TKey, in TValue)"/>
    /// <exception cref="ArgumentOutOfRangeException">The tail is not as long as this map's are.</exception>
    public MapResult Update(in TKey key, in TValue value, ReadOnlySpan<byte> tail)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(tail.Length, TailLength, nameof(tail));
        PlacePool pool = Pool;
        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        uint tag = (uint)(hash >> 32);
        nint bucket = FirstBucket(hash);
        ref ulong word = ref FindWord(bucket, tag, key);
        uint old = 0;
        if (!Unsafe.IsNullRef(ref word))
        {
            old = (uint)word;
            if (HasValue(old, value) && HasTail(old, tail))
            {
                return MapResult.Unchanged;
            }
        }
        else
        {
            word = ref FreeWord(bucket, tag);
            if (Count >= Capacity || Unsafe.IsNullRef(ref word))
            {
                return MapResult.Full;
            }
        }

        uint fresh = pool.Take();
        if (fresh == 0)
        {
            return MapResult.Full;
        }

        Write(fresh, key, value, tail);

        // Release: every byte of the place is visible before the word that names it. Killed before: the old entry stands and
        // the adopter finds the fresh place unreferenced. Killed after: the new entry stands.
        Volatile.Write(ref word, ((ulong)tag << 32) | fresh);
        if (old != 0)
        {
            pool.Retire(old);
        }
        else
        {
            _file.Count++;
        }

        return MapResult.Ok;
    }

    /// <summary>Removes.</summary>
    public MapResult Delete(in TKey key)
    {
        PlacePool pool = Pool;
        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        ref ulong word = ref FindWord(FirstBucket(hash), (uint)(hash >> 32), key);
        if (Unsafe.IsNullRef(ref word))
        {
            return MapResult.Unchanged;
        }

        uint old = (uint)word;
        Volatile.Write(ref word, 0);
        pool.Retire(old);
        _file.Count--;
        return MapResult.Ok;
    }

    /// <summary>Frees the places that no worker can hold any more.</summary>
    public void Reclaim() => Pool.Reclaim();

    private PlacePool Pool => _pool ?? throw new InvalidOperationException($"The map '{_file.Path}' was opened for reading.");

    private void Write(uint place, in TKey key, in TValue value, ReadOnlySpan<byte> tail)
    {
        ref byte start = ref Place(place);
        ref uint generation = ref Generation(place);
        uint odd = generation | 1; // already odd if a writer was killed here
        Volatile.Write(ref generation, odd);

        // Orders the odd generation before the first new byte. Without it an outside reader could copy new bytes under the old,
        // even generation, find that generation again, and believe a mixture.
        Volatile.WriteBarrier();
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref start, KeyOffset), key);
        if (ValueSize != 0)
        {
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref start, KeyOffset + Unsafe.SizeOf<TKey>()), value);
        }

        WriteTail(ref start, tail);
        Volatile.Write(ref generation, odd + 1); // release: even again only when every byte is written
    }

    private bool HasValue(uint place, in TValue value)
    {
        if (ValueSize == 0)
        {
            return true;
        }

        ref byte stored = ref Unsafe.Add(ref Place(place), KeyOffset + Unsafe.SizeOf<TKey>());
        return MemoryMarshal.CreateReadOnlySpan(ref stored, ValueSize)
            .SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<TValue>(in value)));
    }

    private ref ulong FindWord(nint bucket, uint tag, in TKey key)
    {
        ref ulong word = ref FindWordIn(bucket, tag, key);
        return ref Unsafe.IsNullRef(ref word) ? ref FindWordIn(OtherBucket(bucket, tag), tag, key) : ref word;
    }

    private ref ulong FindWordIn(nint bucket, uint tag, in TKey key)
    {
        for (uint matches = MatchTag(bucket, tag); matches != 0; matches &= matches - 1)
        {
            ref ulong word = ref WordAt(bucket, Lane(matches));
            uint place = PlaceOf(word, tag);
            if (place != 0 && IsKey(ref Place(place), key))
            {
                return ref word;
            }
        }

        return ref Unsafe.NullRef<ulong>();
    }

    private ref ulong FreeWord(nint first, uint tag)
    {
        // The emptier of the two: what makes a full pair so rare (docs/maps.md, "Load").
        nint other = OtherBucket(first, tag);
        nint bucket = Filled(first) <= Filled(other) ? first : other;
        for (int lane = 0; lane < WordsPerBucket; lane++)
        {
            ref ulong word = ref WordAt(bucket, lane);
            if (word == 0)
            {
                return ref word;
            }
        }

        return ref Unsafe.NullRef<ulong>();
    }

    private int Filled(nint bucket)
    {
        int filled = 0;
        for (int lane = 0; lane < WordsPerBucket; lane++)
        {
            filled += WordAt(bucket, lane) != 0 ? 1 : 0;
        }

        return filled;
    }
}
