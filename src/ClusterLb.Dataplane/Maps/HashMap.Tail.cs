using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <content>Maps whose entries are larger than any type: behind key and value a place has a tail, whose length the file's header tells.</content>
internal sealed partial class HashMap<TKey, TValue>
{
    private static int TailOffset => KeyOffset + Unsafe.SizeOf<TKey>() + ValueSize;

    private int TailLength => TailLengthOf(_file.Spec);

    /// <summary>A map with tails in anonymous memory, with its writer.</summary>
    public static HashMap<TKey, TValue> CreateAnonymousWithTail(MapFileSpec spec, Epochs epochs)
    {
        var map = new HashMap<TKey, TValue>(MapFile.CreateAnonymous(spec), isOutside: false, hasTail: true);
        map.Adopt(epochs);
        return map;
    }

    /// <summary>Opens a file with tails as its one writer. Entries of other sizes are forgotten: their owner builds them anew.</summary>
    /// <exception cref="MapFileException">The file cannot be made or mapped.</exception>
    public static HashMap<TKey, TValue> OpenForWritingWithTail(string directory, MapFileSpec spec, Epochs epochs, out MapFileReport report)
    {
        MapFile file = MapFile.OpenForWriting(directory, spec, upgrade: (_, _) => true, out MapFileReport opened);
        var map = new HashMap<TKey, TValue>(file, isOutside: true, hasTail: true);
        int dropped = map.Adopt(epochs);
        report = opened with { Entries = map.Count, Dropped = dropped };
        return map;
    }

    /// <summary>A reader of a file with tails that no epoch protects.</summary>
    public static HashMap<TKey, TValue> OpenForReadingWithTail(string directory, MapFileSpec expected) =>
        new(MapFile.OpenForReading(directory, expected), isOutside: true, hasTail: true);

    /// <summary>A reader of a file with tails inside of the dataplane.</summary>
    public static HashMap<TKey, TValue> FromDescriptorWithTail(Microsoft.Win32.SafeHandles.SafeFileHandle handle, MapFileSpec expected) =>
        new(MapFile.FromDescriptor(handle, expected, writable: false), isOutside: false, hasTail: true);

    private static int TailLengthOf(MapFileSpec spec) => (int)spec.ValueSize - ValueSize;

    /// <summary>Copies a part of an entry's tail out. Never waits, never throws, allocates nothing.</summary>
    /// <param name="key">Whose.</param>
    /// <param name="offset">Bytes from the start of the tail; with the length it must lie inside.</param>
    /// <param name="bytes">Filled if the key is there.</param>
    public bool TryReadTail(in TKey key, int offset, Span<byte> bytes)
    {
        if ((uint)offset > (uint)TailLength || bytes.Length > TailLength - offset)
        {
            return false;
        }

        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        uint tag = (uint)(hash >> 32);
        nint bucket = FirstBucket(hash);
        for (int retry = 0; retry < MostRetries; retry++)
        {
            bool changed = false;
            if (TryReadTailIn(bucket, tag, key, offset, bytes, ref changed)
                || TryReadTailIn(OtherBucket(bucket, tag), tag, key, offset, bytes, ref changed))
            {
                return true;
            }

            if (!changed)
            {
                return false;
            }
        }

        return false;
    }

    private bool TryReadTailIn(nint bucket, uint tag, in TKey key, int offset, Span<byte> bytes, ref bool changed)
    {
        for (uint matches = MatchTag(bucket, tag); matches != 0; matches &= matches - 1)
        {
            ref ulong word = ref WordAt(bucket, Lane(matches));
            ulong seen = Volatile.Read(ref word); // acquire: the place is read after the word that names it
            uint place = PlaceOf(seen, tag);
            if (place == 0)
            {
                continue;
            }

            ref byte start = ref Place(place);
            uint generation = Volatile.Read(ref Generation(place));
            bool isKey = IsKey(ref start, key);
            if (isKey)
            {
                Unsafe.CopyBlockUnaligned(ref MemoryMarshal.GetReference(bytes), ref Unsafe.Add(ref start, TailOffset + offset), (uint)bytes.Length);
            }

            if (!_isOutside)
            {
                if (isKey)
                {
                    return true; // an epoch protects the place
                }

                continue;
            }

            // As in TryCopy: the copy before both checks.
            Volatile.ReadBarrier();
            bool isWhole = (generation & 1) == 0 && Volatile.Read(ref Generation(place)) == generation && Volatile.Read(ref word) == seen;
            if (isWhole && isKey)
            {
                return true;
            }

            changed |= !isWhole;
        }

        return false;
    }

    private bool HasTail(uint place, ReadOnlySpan<byte> tail) => tail.IsEmpty
        || MemoryMarshal.CreateReadOnlySpan(ref Unsafe.Add(ref Place(place), TailOffset), tail.Length).SequenceEqual(tail);

    /// <summary>Only while the generation of the place is odd.</summary>
    private static void WriteTail(ref byte start, ReadOnlySpan<byte> tail)
    {
        if (!tail.IsEmpty)
        {
            Unsafe.CopyBlockUnaligned(ref Unsafe.Add(ref start, TailOffset), ref MemoryMarshal.GetReference(tail), (uint)tail.Length);
        }
    }
}
