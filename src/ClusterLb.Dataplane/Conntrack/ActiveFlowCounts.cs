using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>How many flows of this node each backend has: what least connections compares. All workers count at once.</summary>
/// <remarks>
/// <para>A word is a backend's id and its count together, and changes by compare-and-swap: so a word whose count has come to 0 can be
/// given to another backend without anyone's leave. A backend has sixteen words that it may be in; in a race it can get two, whose
/// counts are simply added.</para>
/// <para>Memory of this process only: a successor counts the flows that it adopts. Only flows that carry
/// <see cref="FlowFlags.Counted"/> are counted, so services with other algorithms pay nothing.</para>
/// </remarks>
internal sealed class ActiveFlowCounts
{
    private const int Ways = 16;
    private const int Sets = 4_096;
    private const ulong Seed0 = 0x8EBC_6AF0_9C88_C6E3;
    private const ulong Seed1 = 0x5899_65CC_7537_4CC3;

    private readonly ulong[] _words = new ulong[Sets * Ways]; // 512 KiB, of which only what is used becomes memory

    /// <summary>Flows that are active now.</summary>
    public uint Of(uint backendId)
    {
        uint count = 0;
        foreach (ref ulong word in WordsOf(backendId))
        {
            ulong seen = Volatile.Read(ref word);
            count += Id(seen) == backendId ? (uint)seen : 0;
        }

        return count;
    }

    public void Add(uint backendId)
    {
        Span<ulong> words = WordsOf(backendId);
        while (TryFind(words, backendId, out int at, out ulong seen) || TryFindIdle(words, out at, out seen))
        {
            if (Interlocked.CompareExchange(ref words[at], ((ulong)backendId << 32) | ((uint)seen + 1), seen) == seen)
            {
                return;
            }
        }

        // Sixteen other backends with flows in one set: this flow is not counted, and its end finds nothing to take back.
    }

    public void Remove(uint backendId)
    {
        Span<ulong> words = WordsOf(backendId);
        while (TryFind(words, backendId, out int at, out ulong seen))
        {
            if ((uint)seen != 0 && Interlocked.CompareExchange(ref words[at], seen - 1, seen) == seen)
            {
                return;
            }
        }
    }

    /// <summary>A word of this backend with flows in it.</summary>
    private static bool TryFind(Span<ulong> words, uint backendId, out int at, out ulong seen)
    {
        for (at = 0; at < Ways; at++)
        {
            seen = Volatile.Read(ref words[at]);
            if (Id(seen) == backendId && (uint)seen != 0)
            {
                return true;
            }
        }

        seen = 0;
        return false;
    }

    private static bool TryFindIdle(Span<ulong> words, out int at, out ulong seen)
    {
        for (at = 0; at < Ways; at++)
        {
            seen = Volatile.Read(ref words[at]);
            if ((uint)seen == 0)
            {
                return true;
            }
        }

        seen = 0;
        return false;
    }

    private static uint Id(ulong word) => (uint)(word >> 32);

    private Span<ulong> WordsOf(uint backendId) =>
        _words.AsSpan((int)(SeededHash.Of(backendId, Seed0, Seed1) % Sets) * Ways, Ways);
}
