using System.Numerics;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which source ports are taken towards the few backends where free ones are rare: a bit per port. All workers at once, no lock.</summary>
/// <remarks>
/// <para>The flow table is the truth, a bit is what is known of it. A taken bit whose flow is gone would lose the port: so a worker takes
/// the bit first and looks at the flow table then, and a removal unlinks the flow first and returns the bit then. Whoever finds a port
/// taken leaves the bit: it is returned when that flow goes. A free bit of a port that is taken costs one try.</para>
/// <para>A remote is a reply tuple without its destination port: backend, port, protocol, and the address that the backend answers.
/// A pool without a taken bit can be given to another remote. Memory of this process only, all of it there from the beginning.</para>
/// <para>There is a bit for every port, whatever the ranges, which are said with each search: other ranges are nothing to be told of,
/// and what is known of ports that are out of range now is not lost.</para>
/// </remarks>
internal sealed class SnatPortPools
{
    private const int Ways = 8;
    private const int Sets = 32;
    private const int Words = 65_536 / 64; // a bit for every port
    private const int FullWords = Words / 64; // a bit for each word in which all ports are taken

    private readonly ulong[] _taken = new ulong[Ways * Sets * Words]; // 2 MiB, of which only what is used becomes memory
    private readonly ulong[] _full = new ulong[Ways * Sets * FullWords];
    private readonly int[] _count = new int[Ways * Sets]; // not less than the bits taken
    private readonly uint[] _version = new uint[Ways * Sets]; // odd: the remote is being changed; 0: none yet
    private readonly FlowTuple[] _remote = new FlowTuple[Ways * Sets];
    private int _opened;
    private int _isOpening;

    /// <summary>Takes a port that is not known to be taken, of a pool that is opened if there is none yet.</summary>
    /// <param name="remote">Reply tuple with destination port 0.</param>
    /// <param name="ranges">Which ports may be taken.</param>
    /// <param name="start">Where to begin the search, from 0 to <see cref="SnatPortRanges.Count"/> - 1.</param>
    /// <param name="port">To be returned when its flow goes, or is not created.</param>
    /// <returns>False: all are taken, or there is no room for another pool.</returns>
    public bool TryTake(in FlowTuple remote, in SnatPortRanges ranges, uint start, out ushort port)
    {
        port = 0;
        if (!TryFind(remote, out int pool, out uint version) && !(TryOpen(remote) && TryFind(remote, out pool, out version)))
        {
            return false;
        }

        if (!TryTake(pool, ranges, ranges.PortAt((int)start), out int index))
        {
            return false;
        }

        if (Volatile.Read(ref _version[pool]) != version)
        {
            Return(pool, index); // it was empty a moment ago, and has become somebody else's
            return false;
        }

        port = (ushort)index;
        return true;
    }

    /// <summary>The flow with this reply tuple is gone from the flow table, or was never in it.</summary>
    public void Return(in FlowTuple reply)
    {
        if (_opened != 0 && TryFind(reply with { DestinationPort = 0 }, out int pool, out _))
        {
            Return(pool, reply.DestinationPort);
        }
    }

    private bool TryTake(int pool, in SnatPortRanges ranges, int start, out int index)
    {
        int word = start / 64;
        ulong from = ulong.MaxValue << (start % 64);
        for (int travelled = 0; travelled <= Words;) // the first word twice: its lower bits come last
        {
            ulong mask = ranges.MaskOf(word) & from;
            ref ulong taken = ref _taken[(pool * Words) + word];
            for (ulong free = ~Volatile.Read(ref taken) & mask; free != 0; free = ~Volatile.Read(ref taken) & mask)
            {
                ulong bit = free & (0 - free);
                Interlocked.Increment(ref _count[pool]); // before the bit: a pool that counts 0 has none
                ulong before = Interlocked.Or(ref taken, bit);
                if ((before & bit) == 0)
                {
                    if ((before | bit) == ulong.MaxValue)
                    {
                        MarkFull(pool, word, ref taken);
                    }

                    index = (word * 64) + BitOperations.TrailingZeroCount(bit);
                    return true;
                }

                Interlocked.Decrement(ref _count[pool]); // another worker was first
            }

            from = ulong.MaxValue;
            if (!TryNextWord(pool, ranges, (word + 1) % Words, out int next))
            {
                break;
            }

            travelled += next > word ? next - word : next - word + Words;
            word = next;
        }

        index = 0;
        return false;
    }

    /// <summary>The next word, from one on and round, that has a port in range and is not marked as full.</summary>
    /// <remarks>The words at the ends of a range, four at most, are never full: they cost the search a look.</remarks>
    private bool TryNextWord(int pool, in SnatPortRanges ranges, int first, out int word)
    {
        ulong from = ulong.MaxValue << (first % 64);
        for (int i = 0; i <= FullWords; i++, from = ulong.MaxValue) // the first one twice: its lower bits come last
        {
            int at = ((first / 64) + i) % FullWords;
            ulong open = ~Volatile.Read(ref _full[(pool * FullWords) + at]) & ranges.WordsOf(at) & from;
            if (open != 0)
            {
                word = (at * 64) + BitOperations.TrailingZeroCount(open);
                return true;
            }
        }

        word = 0;
        return false;
    }

    private void MarkFull(int pool, int word, ref ulong taken)
    {
        ref ulong full = ref _full[(pool * FullWords) + (word / 64)];
        ulong bit = 1UL << (word % 64);
        Interlocked.Or(ref full, bit);
        if (Volatile.Read(ref taken) != ulong.MaxValue)
        {
            Interlocked.And(ref full, ~bit); // one was returned meanwhile, perhaps before the mark
        }
    }

    private void Return(int pool, int index)
    {
        ulong bit = 1UL << (index % 64);
        if ((Interlocked.And(ref _taken[(pool * Words) + (index / 64)], ~bit) & bit) != 0)
        {
            Interlocked.And(ref _full[(pool * FullWords) + (index / 64 / 64)], ~(1UL << (index / 64 % 64)));
            Interlocked.Decrement(ref _count[pool]);
        }
    }

    private bool TryFind(in FlowTuple remote, out int pool, out uint version)
    {
        int first = SetOf(remote);
        for (pool = first; pool < first + Ways; pool++)
        {
            version = Volatile.Read(ref _version[pool]);
            if (version == 0 || (version & 1) != 0 || _remote[pool] != remote)
            {
                continue;
            }

            Volatile.ReadBarrier();
            if (Volatile.Read(ref _version[pool]) == version)
            {
                return true;
            }
        }

        version = 0;
        return false;
    }

    /// <summary>Gives a pool without a taken bit to a remote. Rare: one worker at a time, the others do not wait.</summary>
    private bool TryOpen(in FlowTuple remote)
    {
        if (Interlocked.CompareExchange(ref _isOpening, 1, 0) != 0)
        {
            return false;
        }

        int first = SetOf(remote);
        bool isOpen = TryFind(remote, out _, out _); // another worker was first
        for (int pool = first; pool < first + Ways && !isOpen; pool++)
        {
            if (Volatile.Read(ref _count[pool]) == 0)
            {
                isOpen = TryGive(pool, remote);
            }
        }

        Volatile.Write(ref _opened, isOpen ? 1 : _opened);
        Volatile.Write(ref _isOpening, 0);
        return isOpen;
    }

    private bool TryGive(int pool, in FlowTuple remote)
    {
        // Odd, then a look at the count: who takes a bit counts first and looks at the version last, so that one of us sees the other.
        uint odd = Interlocked.Increment(ref _version[pool]);
        bool isEmpty = Volatile.Read(ref _count[pool]) == 0;
        if (isEmpty)
        {
            _remote[pool] = remote;
        }

        uint even = odd == uint.MaxValue ? 2 : odd + 1;
        Volatile.Write(ref _version[pool], even);
        return isEmpty;
    }

    private static int SetOf(in FlowTuple remote) => (int)((uint)remote.GetHashCode() % Sets) * Ways;
}
