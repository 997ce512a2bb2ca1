using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>From the hash of a tuple to places: buckets of one cache line, eight words each, two candidate buckets per tuple.</summary>
/// <remarks>
/// <para>A word is 0, or from its lowest bit: place (32 bits, never 0), hash tag (30), direction (1: reply tuple), and in the
/// first word of a bucket the lock bit. A bucket is always read whole, a deletion stores 0, and nothing ever moves: so a
/// reader needs no lock, and the table never wears out.</para>
/// <para>The lock bit of a tuple's first bucket serialises all who want to create or remove that tuple, whichever of its
/// two buckets the word is in. It protects keys, not words: words are claimed by compare-and-swap, because a bucket is
/// the first of some tuples and the second of others.</para>
/// </remarks>
/// <param name="address">Of the first bucket.</param>
/// <param name="buckets">A power of two.</param>
internal readonly struct FlowIndex(nint address, uint buckets)
{
    public const int WordsPerBucket = 8;

    private const ulong LockBit = 1UL << 63;
    private const ulong ReplyBit = 1UL << 62;
    private const ulong TagMask = (1UL << 30) - 1;
    private const int TagShift = 32;
    private const ulong TagAndPlace = ~LockBit;

    // Up to here a tuple goes to its first bucket, so that most lookups read one cache line; past it to the emptier one,
    // so that a bucket overflows only when the table is all but full (FlowIndexTests fills it to the last flow).
    private const int PreferFirstBelow = 6;

    public uint Buckets => buckets;

    /// <summary>The bucket that is tried and locked first.</summary>
    public uint FirstBucket(ulong hash) => (uint)(hash >> 32) & (buckets - 1);

    /// <summary>The other candidate; by chance the same one.</summary>
    public uint SecondBucket(ulong hash) => (((uint)hash * 0x9E37_79B1u) >> 7) & (buckets - 1);

    /// <summary>What a word that refers to this tuple looks like, place and direction apart.</summary>
    public static ulong Tag(ulong hash) => ((hash ^ (hash >> 34)) & TagMask) << TagShift;

    public static ulong Word(ulong hash, int place, bool isReply) =>
        Tag(hash) | (uint)place | (isReply ? ReplyBit : 0);

    public static bool IsEmpty(ulong word) => (word & TagAndPlace) == 0;

    public static bool HasTag(ulong word, ulong tag) => (word & (TagMask << TagShift)) == tag && Place(word) != 0;

    public static int Place(ulong word) => (int)(uint)word;

    public static bool IsReply(ulong word) => (word & ReplyBit) != 0;

    public static ulong WithoutLock(ulong word) => word & TagAndPlace;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref ulong WordAt(uint bucket, int word) => ref Unsafe.As<byte, ulong>(
        ref MapFileInterop.Reference(address + ((nint)bucket * MapFileSpec.BucketSize) + (word * sizeof(ulong))));

    /// <summary>Asks for both cache lines of a tuple, before a lock, which is a barrier, waits for one after the other.</summary>
    public void Prefetch(ulong hash)
    {
        MapFileInterop.Prefetch(address + ((nint)FirstBucket(hash) * MapFileSpec.BucketSize));
        MapFileInterop.Prefetch(address + ((nint)SecondBucket(hash) * MapFileSpec.BucketSize));
    }

    /// <summary>Which words of a bucket have a tag: bit n for word n. A hint: the caller reads the word again, by
    /// <see cref="Volatile"/>, before it follows it. A word that is not there has nothing to order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint MatchesOf(uint bucket, ulong tag) => Match(ref WordAt(bucket, 0), TagMask << TagShift, tag);

    /// <summary>Which words of a bucket are free: bit n for word n. A hint, too.</summary>
    private uint FreeIn(uint bucket) => Match(ref WordAt(bucket, 0), TagAndPlace, 0);

    /// <summary>Waits for whoever creates or removes a flow here: a few hundred nanoseconds of straight code.</summary>
    public void Lock(uint bucket)
    {
        ref ulong word = ref WordAt(bucket, 0);
        var spin = default(SpinWait);
        while ((Interlocked.Or(ref word, LockBit) & LockBit) != 0)
        {
            do
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }
            while ((Volatile.Read(ref word) & LockBit) != 0);
        }
    }

    public void Unlock(uint bucket) => Interlocked.And(ref WordAt(bucket, 0), ~LockBit);

    /// <summary>Makes a tuple findable. The caller holds the lock of its first bucket.</summary>
    /// <returns>False if both buckets are full.</returns>
    public bool TryLink(ulong hash, ulong word)
    {
        uint first = FirstBucket(hash);
        uint second = SecondBucket(hash);
        while (true)
        {
            uint bucket = first;
            uint free = FreeIn(first);
            if (BitOperations.PopCount(free) <= WordsPerBucket - PreferFirstBelow)
            {
                uint freeInSecond = FreeIn(second);
                if (BitOperations.PopCount(freeInSecond) > BitOperations.PopCount(free))
                {
                    (bucket, free) = (second, freeInSecond);
                }
            }

            if (free == 0)
            {
                return false;
            }

            // Someone else may take the word, or its lock, between the look and the swap: look again.
            ref ulong slot = ref WordAt(bucket, BitOperations.TrailingZeroCount(free));
            ulong seen = Volatile.Read(ref slot);
            if (IsEmpty(seen) && Interlocked.CompareExchange(ref slot, word | (seen & LockBit), seen) == seen)
            {
                return true;
            }
        }
    }

    /// <summary>Makes a tuple unfindable. The caller holds the lock of its first bucket.</summary>
    /// <returns>False if there is no such word.</returns>
    public bool TryUnlink(ulong hash, ulong word)
    {
        if (!TryFindWord(hash, word, out uint bucket, out int at))
        {
            return false;
        }

        ref ulong found = ref WordAt(bucket, at);
        Interlocked.And(ref found, LockBit); // 0, but for a lock that somebody holds or is just taking
        return true;
    }

    /// <summary>True while exactly this word is in one of the tuple's buckets.</summary>
    public bool IsLinked(ulong hash, ulong word) => TryFindWord(hash, word, out _, out _);

    private bool TryFindWord(ulong hash, ulong word, out uint bucket, out int at)
    {
        bucket = FirstBucket(hash);
        for (int candidate = 0; candidate < 2; candidate++)
        {
            for (at = 0; at < WordsPerBucket; at++)
            {
                if (WithoutLock(Volatile.Read(ref WordAt(bucket, at))) == word)
                {
                    return true;
                }
            }

            bucket = SecondBucket(hash);
        }

        at = -1;
        return false;
    }

    /// <summary>Bit n is set if word n equals <paramref name="value"/> in the bits of <paramref name="mask"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static uint Match(ref ulong words, ulong mask, ulong value)
    {
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<ulong> masks = Vector256.Create(mask);
            Vector256<ulong> values = Vector256.Create(value);
            uint low = Vector256.Equals(Vector256.LoadUnsafe(ref words) & masks, values).ExtractMostSignificantBits();
            uint high = Vector256.Equals(Vector256.LoadUnsafe(ref words, 4) & masks, values).ExtractMostSignificantBits();
            return low | (high << 4);
        }

        return MatchOneByOne(ref words, mask, value);
    }

    /// <summary>The same for processors without 256-bit vectors.</summary>
    internal static uint MatchOneByOne(ref ulong words, ulong mask, ulong value)
    {
        uint matches = 0;
        for (int at = 0; at < WordsPerBucket; at++)
        {
            matches |= (Unsafe.Add(ref words, at) & mask) == value ? 1u << at : 0;
        }

        return matches;
    }
}
