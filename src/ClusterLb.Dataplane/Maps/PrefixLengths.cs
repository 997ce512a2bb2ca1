using System.Numerics;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Which prefix lengths a map of address blocks has, as bits in the words of its header: only these are looked up.</summary>
/// <remarks>A bit is set before the first block of its length is inserted and cleared after the last is gone, so that a reader never
/// misses a block that is there. A bit too many costs a lookup, nothing else.</remarks>
internal sealed class PrefixLengths(MapFile file)
{
    private const int Words = 3; // 0 to 128
    private readonly int[] _blocks = new int[129]; // writer only

    /// <summary>Bits of 64 lengths: word 0 has /0 to /63.</summary>
    public ulong Word(int index) => Volatile.Read(ref file.Word(index));

    public bool Any => (Word(0) | Word(1) | Word(2)) != 0;

    /// <summary>Before a new block is inserted.</summary>
    public void Add(int length)
    {
        _blocks[length]++;
        ref ulong word = ref file.Word(length / 64);
        Volatile.Write(ref word, word | (1UL << (length % 64)));
    }

    /// <summary>After a block was deleted, or not inserted after all.</summary>
    public void Remove(int length)
    {
        if (--_blocks[length] == 0)
        {
            ref ulong word = ref file.Word(length / 64);
            Volatile.Write(ref word, word & ~(1UL << (length % 64)));
        }
    }

    /// <summary>Counts anew, for a writer that takes over a file.</summary>
    public void Adopt(IEnumerable<int> lengths)
    {
        foreach (int length in lengths)
        {
            Add(length);
        }

        for (int length = 0; length <= 128; length++)
        {
            ref ulong word = ref file.Word(length / 64);
            if (_blocks[length] == 0)
            {
                Volatile.Write(ref word, word & ~(1UL << (length % 64)));
            }
        }
    }

    /// <summary>The next length from <paramref name="word"/>, which loses it.</summary>
    public static int Take(ref ulong word, int wordIndex)
    {
        int bit = BitOperations.TrailingZeroCount(word);
        word &= word - 1;
        return (wordIndex * 64) + bit;
    }

    public static int WordCount => Words;
}
