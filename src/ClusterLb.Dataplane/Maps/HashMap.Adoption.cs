using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Maps;

/// <content>Opening for writing: what the previous writer left, however it ended.</content>
internal sealed partial class HashMap<TKey, TValue>
{
    /// <summary>Opens the file as its one writer; the caller holds the lease that makes it so.</summary>
    /// <param name="directory">Exists.</param>
    /// <param name="spec">From <see cref="Spec"/>.</param>
    /// <param name="epochs">Who may hold places.</param>
    /// <param name="report">What was found and done.</param>
    /// <param name="readOlder">Reads the entries of a known older layout; returns null for a layout that it does not know.</param>
    /// <param name="node">Whose content counts as true.</param>
    /// <exception cref="MapFileException">The file cannot be made or mapped.</exception>
    public static HashMap<TKey, TValue> OpenForWriting(
        string directory,
        MapFileSpec spec,
        Epochs epochs,
        out MapFileReport report,
        Func<MapFile, IEnumerable<KeyValuePair<TKey, TValue>>?>? readOlder = null,
        NodeIdentity? node = null)
    {
        int lost = 0;
        MapFile file = MapFile.OpenForWriting(directory, spec, Upgrade, out MapFileReport opened, node);
        var map = new HashMap<TKey, TValue>(file, isOutside: true);
        int dropped = map.Adopt(epochs);
        file.ForgetPages();
        report = opened with { Entries = map.Count, Dropped = dropped + lost };
        return map;

        bool Upgrade(MapFile old, MapFile fresh)
        {
            lost = 0;
            IEnumerable<KeyValuePair<TKey, TValue>>? entries =
                old.Spec.HasLayoutOf(spec) ? EntriesOf(old, ref lost) : readOlder?.Invoke(old);
            if (entries is null)
            {
                return false;
            }

            var copy = new HashMap<TKey, TValue>(fresh, isOutside: true);
            copy.Adopt(Epochs.None); // nobody else sees the file yet
            foreach (KeyValuePair<TKey, TValue> entry in entries)
            {
                lost += copy.Update(entry.Key, entry.Value) == MapResult.Full ? 1 : 0;
            }

            return true;
        }
    }

    /// <summary>What is in a file of the same layout, in the order of places: what was written together stays together.</summary>
    private static List<KeyValuePair<TKey, TValue>> EntriesOf(MapFile old, ref int dropped)
    {
        var map = new HashMap<TKey, TValue>(old, isOutside: true);
        dropped += map.DropSenseless(out bool[] used);
        var entries = new List<KeyValuePair<TKey, TValue>>(map.Count);
        for (uint place = 1; place < map._placeCount; place++)
        {
            if (used[place])
            {
                map.Read(place, out TKey key, out TValue value);
                entries.Add(KeyValuePair.Create(key, value));
            }
        }

        return entries;
    }

    /// <summary>Becomes the writer: drops what makes no sense and learns which places are free.</summary>
    /// <returns>Entries dropped; 0 unless the file was damaged, for a writer that was killed leaves none.</returns>
    private int Adopt(Epochs epochs)
    {
        int dropped = DropSenseless(out bool[] used);
        uint fresh = _placeCount;
        while (fresh > 1 && !used[fresh - 1] && Generation(fresh - 1) == 0)
        {
            fresh--;
        }

        _pool = new PlacePool(fresh, _placeCount, epochs);
        for (uint place = fresh - 1; place >= 1; place--)
        {
            // The lowest place comes out of the pool first, so that what is written together lies together.
            if (used[place])
            {
                continue;
            }

            if (Generation(place) == 0)
            {
                _pool.Free(place); // never written: nobody can hold it
            }
            else
            {
                _pool.Retire(place); // a worker may have read its word just before the previous writer removed it
            }
        }

        return dropped;
    }

    /// <summary>Clears words that name no whole place, a place that another word names, or a key that does not belong there.</summary>
    private int DropSenseless(out bool[] used)
    {
        used = new bool[_placeCount];
        int dropped = 0;
        ulong count = 0;
        for (nint bucket = 0; bucket <= (nint)_bucketMask * MapFileSpec.BucketSize; bucket += MapFileSpec.BucketSize)
        {
            for (int lane = 0; lane < WordsPerBucket; lane++)
            {
                ref ulong word = ref WordAt(bucket, lane);
                if (word == 0)
                {
                    continue;
                }

                if (!MakesSense(bucket, word, used))
                {
                    Volatile.Write(ref word, 0);
                    dropped++;
                    continue;
                }

                used[(uint)word] = true;
                count++;
            }
        }

        _file.Count = count;
        return dropped;
    }

    private bool MakesSense(nint bucket, ulong word, bool[] used)
    {
        uint place = (uint)word;
        uint tag = (uint)(word >> 32);
        if (place == 0 || place >= _placeCount || used[place] || (Generation(place) & 1) != 0)
        {
            return false;
        }

        Read(place, out TKey key, out _);
        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        nint first = FirstBucket(hash);
        return (uint)(hash >> 32) == tag
            && (bucket == first || bucket == OtherBucket(first, tag))
            && (uint)FindWord(first, tag, key) == place; // else another word has this key already
    }

    private void Read(uint place, out TKey key, out TValue value)
    {
        ref byte start = ref Place(place);
        key = Unsafe.ReadUnaligned<TKey>(ref Unsafe.Add(ref start, KeyOffset));
        value = ReadValue(ref start);
    }
}
