using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ClusterLb.Dataplane.Maps;

/// <summary>A hash map of fixed capacity in shared memory: one writer, any number of readers, which never wait.</summary>
/// <remarks>
/// Theory of operation (docs/maps.md has the bytes and the proof). The index is an array of buckets of one cache line, eight
/// words each: tag (upper half of the hash) and place number. A key lies in one of two buckets, and both are scanned whole, so
/// nothing needs tombstones and nothing ever moves. An entry is written into a place that nobody can see and becomes visible by
/// one aligned store of its word; the old place is reused only when no reader can hold it any more (<see cref="Epochs"/>).
/// Killed between any two instructions, the writer leaves the old entry or the new one.
/// </remarks>
/// <typeparam name="TKey">The key as it lies in the file: no padding, 4 to 40 bytes, a multiple of 4.</typeparam>
/// <typeparam name="TValue">The value as it lies in the file, a multiple of 4 bytes.</typeparam>
internal sealed partial class HashMap<TKey, TValue> : IDisposable
    where TKey : unmanaged
    where TValue : unmanaged
{
    private const int WordsPerBucket = 8;
    private const int KeyOffset = 4; // behind the generation
    private const uint FewestBuckets = 16; // keeps the two-choice argument true for tiny maps

    private readonly MapFile _file;
    private readonly nint _index;
    private readonly nint _places;
    private readonly ulong _seed0;
    private readonly ulong _seed1;
    private readonly uint _bucketMask;
    private readonly uint _placeCount;
    private readonly nint _placeSize;
    private readonly bool _isOutside;

    // With a tail, more follows behind the value, as much as the header tells.
    private HashMap(MapFile file, bool isOutside, bool hasTail = false)
    {
        MapFileSpec expected = Spec(file.Spec.Name, 1, file.Spec.LayoutVersion);
        expected = hasTail ? expected with { PlaceSize = MapFileSpec.AnySize, ValueSize = MapFileSpec.AnySize } : expected;
        if (!file.Spec.HasLayoutOf(expected) || file.Spec.Buckets < 2 || (hasTail && file.Spec.PlaceSize - TailOffset < TailLengthOf(file.Spec)))
        {
            throw new MapFileException($"'{file.Path}' does not hold keys of {Unsafe.SizeOf<TKey>()} bytes and values of " +
                $"{ValueSize} bytes. The agent sets it right when it starts.");
        }

        _file = file;
        _isOutside = isOutside;
        _index = file.AddressOf(MapFileSpec.IndexOffset);
        _places = file.AddressOf(file.Spec.PlacesOffset);
        _placeCount = file.Spec.Places;
        _placeSize = (nint)file.Spec.PlaceSize;
        _bucketMask = file.Spec.Buckets - 1;
        _seed0 = file.Seed0;
        _seed1 = file.Seed1;
    }

    /// <summary>The file below.</summary>
    public MapFile File => _file;

    /// <summary>Entries in use.</summary>
    public int Count => (int)_file.Count;

    /// <summary>Entries that fit.</summary>
    public int Capacity => (int)_file.Spec.Capacity;

    /// <summary>An empty struct has one byte for C#, and none in the file.</summary>
    private static int ValueSize => typeof(TValue) == typeof(NoValue) ? 0 : Unsafe.SizeOf<TValue>();

    /// <summary>The file that a map of this kind needs.</summary>
    /// <param name="name">File name.</param>
    /// <param name="capacity">Entries; more places are allocated, for those that wait to be reused.</param>
    /// <param name="layoutVersion">Of the bytes of a place.</param>
    public static MapFileSpec Spec(string name, int capacity, uint layoutVersion = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        int used = KeyOffset + Unsafe.SizeOf<TKey>() + ValueSize;

        // A power of two up to a cache line: then no entry lies on two lines. Beyond, whole lines.
        uint placeSize = used <= 64 ? BitOperations.RoundUpToPowerOf2((uint)used) : (uint)(used + 63) & ~63u;
        return new MapFileSpec
        {
            Name = name,
            LayoutVersion = layoutVersion,
            Capacity = (uint)capacity,

            // Half of the words stay empty: at that load a bucket pair never was full in 10^7 insertions under churn.
            Buckets = Math.Max(FewestBuckets, BitOperations.RoundUpToPowerOf2((uint)((capacity + 3) / 4))),
            Places = (uint)(1 + capacity + (capacity / 8) + 64),
            PlaceSize = Math.Max(placeSize, 8),
            KeySize = (uint)Unsafe.SizeOf<TKey>(),
            ValueSize = (uint)ValueSize,
        };
    }

    /// <summary>A reader that no epoch protects: it checks generations (CLI, another agent, anybody).</summary>
    public static HashMap<TKey, TValue> OpenForReading(string directory, string name, uint layoutVersion = 1) =>
        new(MapFile.OpenForReading(directory, Spec(name, 1, layoutVersion)), isOutside: true);

    /// <summary>A reader inside of the dataplane: its workers are online while they read (<see cref="WorkerSlots"/>).</summary>
    public static HashMap<TKey, TValue> FromDescriptor(Microsoft.Win32.SafeHandles.SafeFileHandle handle, string name, uint layoutVersion = 1) =>
        new(MapFile.FromDescriptor(handle, Spec(name, 1, layoutVersion), writable: false), isOutside: false);

    /// <summary>A reader of a file that is open already, an older layout's for instance; the caller keeps the file.</summary>
    public static HashMap<TKey, TValue> Over(MapFile file) => new(file, isOutside: true);

    /// <summary>Copies the value out. Never waits, never throws, allocates nothing.</summary>
    public bool TryLookup(in TKey key, out TValue value)
    {
        if (_isOutside)
        {
            return TryLookupOutside(key, out value);
        }

        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        uint tag = (uint)(hash >> 32);
        nint first = FirstBucket(hash);
        nint flip = Flip(tag);

        // Both buckets at once, and arithmetic instead of a choice between them: in which of the two a key lies is a coin toss,
        // and a branch on it would be mispredicted as often (measured: 48 ns became 76 for three lookups).
        for (uint matches = MatchTag(first, tag) | (MatchTag(first ^ flip, tag) << 16); matches != 0; matches &= matches - 1)
        {
            int lane = Lane(matches);
            nint bucket = first ^ (flip & -(nint)(lane >> 3));

            // Acquire: the place is read after the word that names it, or its bytes could be older than the word.
            uint place = PlaceOf(Volatile.Read(ref WordAt(bucket, lane & (WordsPerBucket - 1))), tag);
            if (place != 0)
            {
                ref byte start = ref Place(place);
                if (IsKey(ref start, key))
                {
                    value = ReadValue(ref start);
                    return true;
                }
            }
        }

        value = default;
        return false;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Offset of the first bucket of a hash, in bytes from the index.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint FirstBucket(ulong hash) => (nint)((uint)hash & _bucketMask) * MapFileSpec.BucketSize;

    /// <summary>The other bucket of a tag, always another one; it follows from the tag, so that it costs nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint OtherBucket(nint bucket, uint tag) => bucket ^ Flip(tag);

    /// <summary>The bits in which the two buckets of a tag differ.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint Flip(uint tag) => (nint)((tag | 1) & _bucketMask) * MapFileSpec.BucketSize;

    /// <summary>One bit per half word, the upper ones for tags, of all eight words whose tag matches. A hint: who acts on it reads
    /// the word again, as one atomic load, and looks at its tag.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint MatchTag(nint bucket, uint tag)
    {
        ref byte line = ref MapFileInterop.Reference(_index + bucket);
        Vector256<uint> wanted = Vector256.Create(tag);
        Vector256<uint> low = Unsafe.ReadUnaligned<Vector256<uint>>(ref line);
        Vector256<uint> high = Unsafe.ReadUnaligned<Vector256<uint>>(ref Unsafe.Add(ref line, 32));
        uint lowBits = Vector256.Equals(low, wanted).ExtractMostSignificantBits();
        uint highBits = Vector256.Equals(high, wanted).ExtractMostSignificantBits();
        return (lowBits | (highBits << 8)) & 0xAAAA;
    }

    /// <summary>The word of the lowest match.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Lane(uint matches) => BitOperations.TrailingZeroCount(matches) >> 1;

    /// <summary>The place that a word names, 0 if the word is empty, of another tag, or senseless.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint PlaceOf(ulong word, uint tag)
    {
        uint place = (uint)word;
        return (uint)(word >> 32) == tag && place < _placeCount ? place : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref ulong WordAt(nint bucket, int lane) =>
        ref Unsafe.As<byte, ulong>(ref MapFileInterop.Reference(_index + bucket + (lane * sizeof(ulong))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref byte Place(uint place) => ref MapFileInterop.Reference(_places + ((nint)place * _placeSize));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref uint Generation(uint place) => ref Unsafe.As<byte, uint>(ref Place(place));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TValue ReadValue(ref byte place) =>
        ValueSize == 0 ? default : Unsafe.ReadUnaligned<TValue>(ref Unsafe.Add(ref place, KeyOffset + Unsafe.SizeOf<TKey>()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsKey(ref byte place, in TKey key) =>
        Same(ref Unsafe.Add(ref place, KeyOffset), ref Unsafe.As<TKey, byte>(ref Unsafe.AsRef(in key)));

    /// <summary>Compares keys by their bytes; the conditions are constants to the JIT.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Same(ref byte a, ref byte b)
    {
        int size = Unsafe.SizeOf<TKey>();
        ulong difference = 0;
        if (size >= 8)
        {
            difference = Difference<ulong>(ref a, ref b, 0);
        }

        if (size >= 16)
        {
            difference |= Difference<ulong>(ref a, ref b, 8);
        }

        if (size >= 24)
        {
            difference |= Difference<ulong>(ref a, ref b, 16);
        }

        if (size >= 32)
        {
            difference |= Difference<ulong>(ref a, ref b, 24);
        }

        if (size >= 40)
        {
            difference |= Difference<ulong>(ref a, ref b, 32);
        }

        if ((size & 4) != 0)
        {
            difference |= Difference<uint>(ref a, ref b, size - 4);
        }

        return difference == 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Difference<TWord>(ref byte a, ref byte b, int offset)
        where TWord : unmanaged, IBinaryInteger<TWord> =>
        ulong.CreateTruncating(
            Unsafe.ReadUnaligned<TWord>(ref Unsafe.Add(ref a, offset)) ^ Unsafe.ReadUnaligned<TWord>(ref Unsafe.Add(ref b, offset)));
}
