using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Whose turn it is, for services with round robin. All workers draw from one counter per set of slots.</summary>
/// <remarks>A word is key and turn together, at the one place that the key has. Two sets that fall on the same word take it from each
/// other and begin anew at a random slot each time: uneven in no direction, only not in turn. Memory of this process only.</remarks>
internal sealed class RoundRobinTurns
{
    private const int Words = 16_384;
    private const ulong Seed0 = 0xC2B2_AE3D_27D4_EB4F;
    private const ulong Seed1 = 0x1656_67B1_9E37_79F9;

    private readonly ulong[] _words = new ulong[Words];

    /// <summary>The next number for a key; each is given once, in order.</summary>
    /// <param name="key">Not 0.</param>
    /// <param name="first">Where to begin if the key has none yet.</param>
    public uint Next(uint key, uint first)
    {
        ref ulong word = ref _words[(int)(SeededHash.Of(key, Seed0, Seed1) % Words)];
        ulong seen = Volatile.Read(ref word);
        while (true)
        {
            uint turn = (uint)(seen >> 32) == key ? (uint)seen : first;
            ulong before = Interlocked.CompareExchange(ref word, ((ulong)key << 32) | unchecked(turn + 1), seen);
            if (before == seen)
            {
                return turn;
            }

            seen = before;
        }
    }
}
