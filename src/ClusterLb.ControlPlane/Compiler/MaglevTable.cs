using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Builds the table of a set of backends: Maglev, NSDI 2016, section 3.4.</summary>
/// <remarks>Each backend has an order of preference over all slots, which follows from its address and the cluster's seed alone; in turn
/// each takes the first slot of its order that is free. So the shares are even to one slot, every node builds the same table, and a
/// backend that goes moves few flows that were not its own.</remarks>
public static class MaglevTable
{
    /// <summary>Fills a table.</summary>
    /// <param name="table">Its length is a prime number.</param>
    /// <param name="backends">At least one, each once; their order does not matter.</param>
    /// <param name="seed">Of the cluster.</param>
    public static void Fill(Span<uint> table, IReadOnlyList<(BackendKey Key, uint Id)> backends, MaglevSeed seed)
    {
        // In the order of their addresses: ids differ from node to node.
        (BackendKey Key, uint Id)[] ordered =
            [.. backends.OrderBy(b => b.Key.Address).ThenBy(b => b.Key.Port).ThenBy(b => b.Key.Protocol)];
        uint size = (uint)table.Length;
        var next = new uint[ordered.Length]; // the slot that a backend asks for next
        var skip = new uint[ordered.Length];
        for (int i = 0; i < ordered.Length; i++)
        {
            ulong hash = HashOf(ordered[i].Key, seed);
            next[i] = (uint)(hash >> 32) % size;
            skip[i] = 1 + ((uint)hash % (size - 1)); // prime size: every step but 0 visits all slots
        }

        table.Clear(); // 0 is no id
        uint filled = 0;
        while (true)
        {
            for (int i = 0; i < ordered.Length; i++)
            {
                uint slot = next[i];
                while (table[(int)slot] != 0)
                {
                    slot = Step(slot, skip[i], size);
                }

                table[(int)slot] = ordered[i].Id;
                next[i] = Step(slot, skip[i], size);
                if (++filled == size)
                {
                    return;
                }
            }
        }
    }

    private static uint Step(uint slot, uint skip, uint size)
    {
        uint next = slot + skip; // at most twice the size, far from overflow
        return next >= size ? next - size : next;
    }

    private static ulong HashOf(BackendKey key, MaglevSeed seed) =>
        SeededHash.Of(key.Address, seed.Low ^ ((ulong)key.Port << 8) ^ (ulong)key.Protocol, ~seed.High);
}
