using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <content>Everything but a uniform choice at random: other algorithms, and a share for another service.</content>
internal sealed partial class BackendSelector
{
    // Least connections looks at every slot, one lookup each. Services larger than this are compared by a run of slots that begins
    // anywhere: a flood of new flows must not cost a thousand lookups each.
    private const uint MostCompared = 128;

    /// <summary>Chooses by the algorithm that slot 0 names, in the group that the share leads to.</summary>
    /// <param name="key">Slot 0.</param>
    /// <param name="head">What it says.</param>
    /// <param name="tuple">Client to frontend.</param>
    /// <param name="isEmpty">There is no slot to choose from.</param>
    /// <param name="how">What decided.</param>
    /// <param name="id">The backend's id.</param>
    /// <param name="backend">Its address and port.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryChooseOtherwise(
        ServiceKey key, in ServiceEntry head, in FlowTuple tuple,
        out bool isEmpty, out Selection how, out uint id, out BackendEntry backend)
    {
        SelectionAlgorithm algorithm = head.Algorithm;
        bool isHashed = algorithm.IsHash();
        ulong hash = isHashed
            ? FlowHash.Of(algorithm, tuple, (head.Flags & ServiceFlags.Affinity) != ServiceFlags.None, maps.Maglev.Seed)
            : 0;

        // One number decides about the share and then, scaled up again, about the slot. The hash of a destination is the same for all flows
        // to it: a share by that would be all or nothing.
        uint number = isHashed ? (uint)(hash >> 32) : random.Next();
        uint count = head.Count;
        how = default;
        if ((head.Flags & ServiceFlags.Split) != ServiceFlags.None)
        {
            ServiceKey canary = key with { Scope = key.Scope.Canary() };
            if (maps.Services.TryLookup(canary, out ServiceEntry other) && other.Count > 0
                && (TakesShare(algorithm, ref number, head.SharePercent) || count == 0))
            {
                (key, count, how.IsCanary) = (canary, other.Count, true);
            }
        }

        id = 0;
        backend = default;
        isEmpty = count == 0;
        if (isEmpty)
        {
            return false;
        }

        switch (algorithm)
        {
            case SelectionAlgorithm.RoundRobin:
                // The scope takes two bits above the id: sets that share an id have turns of their own.
                uint turn = flows.NextTurn(head.RevNatId ^ ((uint)key.Scope << 30), SlotOf(number, count) - 1);
                how = how with { Kind = SelectionKind.RoundRobin, Number = turn, Slot = 1 + (turn % count) };
                break;
            case SelectionAlgorithm.LeastConnections or SelectionAlgorithm.ShortestExpectedDelay:
                if (TryLeast(key, count, SlotOf(number, count) - 1, out how.Slot, out how.Number))
                {
                    how.Kind = algorithm == SelectionAlgorithm.LeastConnections ? SelectionKind.LeastConnections : SelectionKind.ShortestExpectedDelay;
                }

                break;
            case SelectionAlgorithm.Maglev or SelectionAlgorithm.SourceHash or SelectionAlgorithm.DestinationHash:
                if (maps.Maglev.TryPick(MaglevKey.Of(head, key.Scope), (uint)hash, out how.Slot, out id))
                {
                    how.Kind = KindOf(algorithm);
                    how.Number = (uint)hash;
                    return maps.Backends.TryLookup(id, out backend);
                }

                how = how with { Kind = SelectionKind.HashWithoutTable, Number = number, Slot = SlotOf(number, count) };
                break;
            default:
                how = how with { Kind = SelectionKind.Random, Number = number, Slot = SlotOf(number, count) };
                break;
        }

        bool found = maps.Services.TryLookup(key with { Slot = how.Slot }, out ServiceEntry slot) && how.Slot != 0;
        id = found ? slot.BackendId : 0;
        return found && maps.Backends.TryLookup(id, out backend);
    }

    private bool TakesShare(SelectionAlgorithm algorithm, ref uint number, uint percent)
    {
        if (algorithm != SelectionAlgorithm.DestinationHash)
        {
            return SplitShare.Takes(ref number, percent);
        }

        uint own = random.Next();
        return SplitShare.Takes(ref own, percent);
    }

    /// <summary>The slot whose backend has the fewest flows of this node; of several the first from a random slot on.</summary>
    private bool TryLeast(ServiceKey key, uint count, uint start, out uint best, out uint fewest)
    {
        best = 0;
        fewest = uint.MaxValue;
        for (uint i = 0; i < Math.Min(count, MostCompared) && fewest > 0; i++)
        {
            uint at = 1 + ((start + i) % count);
            if (maps.Services.TryLookup(key with { Slot = at }, out ServiceEntry slot))
            {
                uint active = flows.ActiveFlows(slot.BackendId);
                (best, fewest) = active < fewest ? (at, active) : (best, fewest);
            }
        }

        return best != 0;
    }

    private static SelectionKind KindOf(SelectionAlgorithm algorithm) => algorithm switch
    {
        SelectionAlgorithm.SourceHash => SelectionKind.SourceHash,
        SelectionAlgorithm.DestinationHash => SelectionKind.DestinationHash,
        _ => SelectionKind.Maglev,
    };
}
