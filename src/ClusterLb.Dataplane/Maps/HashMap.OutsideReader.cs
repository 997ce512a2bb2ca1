using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ClusterLb.Dataplane.Maps;

/// <content>Readers that no epoch protects: a place may be reused under their eyes, and they must notice.</content>
internal sealed partial class HashMap<TKey, TValue>
{
    /// <summary>A retry happens only if the writer reused the place that was being read; so often in a row is a dead machine.</summary>
    private const int MostRetries = 100;

    private enum CopyResult
    {
        /// <summary>Key and value are of one moment, at which the word named the place.</summary>
        Whole,

        /// <summary>The word is empty or senseless.</summary>
        Nothing,

        /// <summary>The writer was faster.</summary>
        Changed,
    }

    /// <summary>Every entry that was there all the time once; others maybe. Each is whole.</summary>
    public IEnumerable<KeyValuePair<TKey, TValue>> Entries()
    {
        for (nint bucket = 0; bucket <= (nint)_bucketMask * MapFileSpec.BucketSize; bucket += MapFileSpec.BucketSize)
        {
            for (int lane = IsEmpty(bucket) ? WordsPerBucket : 0; lane < WordsPerBucket; lane++)
            {
                if (TryCopyWord(bucket, lane, out TKey key, out TValue value))
                {
                    yield return KeyValuePair.Create(key, value);
                }
            }
        }
    }

    /// <summary>Most buckets of a large map are: an enumeration looks at their line once.</summary>
    private bool IsEmpty(nint bucket)
    {
        ref byte line = ref MapFileInterop.Reference(_index + bucket);
        return (Unsafe.ReadUnaligned<Vector256<ulong>>(ref line) | Unsafe.ReadUnaligned<Vector256<ulong>>(ref Unsafe.Add(ref line, 32)))
            == Vector256<ulong>.Zero;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryLookupOutside(in TKey key, out TValue value)
    {
        ulong hash = SeededHash.Of(key, _seed0, _seed1);
        uint tag = (uint)(hash >> 32);
        nint bucket = FirstBucket(hash);
        for (int retry = 0; retry < MostRetries; retry++)
        {
            bool changed = false;
            if (TryFindOutside(bucket, tag, key, out value, ref changed)
                || TryFindOutside(OtherBucket(bucket, tag), tag, key, out value, ref changed))
            {
                return true;
            }

            if (!changed)
            {
                return false;
            }
        }

        value = default;
        return false;
    }

    private bool TryFindOutside(nint bucket, uint tag, in TKey key, out TValue value, ref bool changed)
    {
        for (uint matches = MatchTag(bucket, tag); matches != 0; matches &= matches - 1)
        {
            ref ulong word = ref WordAt(bucket, Lane(matches));
            ulong seen = Volatile.Read(ref word);
            if (PlaceOf(seen, tag) == 0)
            {
                continue;
            }

            switch (TryCopy(ref word, seen, out TKey found, out value))
            {
                case CopyResult.Whole when Same(ref Unsafe.As<TKey, byte>(ref found), ref Unsafe.As<TKey, byte>(ref Unsafe.AsRef(in key))):
                    return true;
                case CopyResult.Changed:
                    changed = true;
                    break;
            }
        }

        value = default;
        return false;
    }

    private bool TryCopyWord(nint bucket, int lane, out TKey key, out TValue value)
    {
        ref ulong word = ref WordAt(bucket, lane);
        for (int retry = 0; retry < MostRetries; retry++)
        {
            CopyResult result = TryCopy(ref word, Volatile.Read(ref word), out key, out value);
            if (result != CopyResult.Changed)
            {
                return result == CopyResult.Whole;
            }
        }

        key = default;
        value = default;
        return false;
    }

    private CopyResult TryCopy(ref ulong word, ulong seen, out TKey key, out TValue value)
    {
        uint place = (uint)seen;
        if (place == 0 || place >= _placeCount)
        {
            key = default;
            value = default;
            return CopyResult.Nothing;
        }

        ref byte start = ref Place(place);
        uint generation = Volatile.Read(ref Generation(place)); // acquire: the copy below is not older than this
        key = Unsafe.ReadUnaligned<TKey>(ref Unsafe.Add(ref start, KeyOffset));
        value = ReadValue(ref start);

        // Orders the copy before the two checks. Without it the checks could be done first and the copy be of a later entry.
        Volatile.ReadBarrier();

        // The generation finds a place that was reused, though the same word may name it again; the word finds a place that
        // still holds what it held, but of which the key was deleted or replaced before we came.
        return (generation & 1) == 0 && Volatile.Read(ref Generation(place)) == generation && Volatile.Read(ref word) == seen
            ? CopyResult.Whole
            : CopyResult.Changed;
    }
}
