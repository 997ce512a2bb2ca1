using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Chooses the backend of a new flow: the one that the client is pinned to, else by the service's algorithm
/// (semantics R14, R31 to R33; docs/algorithms.md).</summary>
/// <remarks>A service without affinity, split and algorithm pays one comparison of slot 0, which was read anyway.</remarks>
internal sealed partial class BackendSelector(LbMaps maps, FlowTables flows, RandomSource random)
{
    // The writer removes a backend's slot before its entry, and lowers the count before it removes the last slot: a reader who
    // is overtaken finds the new count on the next look. Three overtakings in one packet's time do not happen by chance.
    private const int MostLooks = 4;

    /// <summary>Chooses among the slots there are now.</summary>
    /// <param name="frontend">Whose slots.</param>
    /// <param name="tuple">Client to frontend.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="head">Slot 0 as it was read last; default if the frontend has gone.</param>
    /// <param name="how">What decided.</param>
    /// <param name="id">The backend's id.</param>
    /// <param name="backend">Its address and port.</param>
    /// <returns>None; or <see cref="DropReason.NoBackend"/> if the last slot has just gone; or <see cref="DropReason.MapsInMotion"/>.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public DropReason Select(
        in Frontend frontend, in FlowTuple tuple, long nowMs,
        out ServiceEntry head, out Selection how, out uint id, out BackendEntry backend) =>
        (frontend.Entry.Flags & ServiceFlags.Affinity) == ServiceFlags.None
            ? Choose(frontend, tuple, out head, out how, out id, out backend)
            : ChoosePinned(frontend, tuple, nowMs, out head, out how, out id, out backend);

    /// <summary>What the client had within the timeout, if this frontend may still use it; else a new choice, to which it is pinned.</summary>
    private DropReason ChoosePinned(
        in Frontend frontend, in FlowTuple tuple, long nowMs, out ServiceEntry head, out Selection how, out uint id, out BackendEntry backend)
    {
        uint port = frontend.Entry.ServicePortId;
        uint timeoutSeconds = frontend.Entry.AffinityTimeoutSeconds;
        bool wasPinned = flows.TryUseAffinity(port, tuple.Source, nowMs, timeoutSeconds, out id);
        if (wasPinned && IsEligible(frontend, id, out backend, out bool isCanary))
        {
            head = frontend.Entry;
            how = new Selection { Kind = SelectionKind.Pinned, IsCanary = isCanary };
            return DropReason.None;
        }

        uint before = wasPinned ? id : 0;
        DropReason problem = Choose(frontend, tuple, out head, out how, out id, out backend);
        if (problem == DropReason.None)
        {
            uint pinned = flows.PinAffinity(port, tuple.Source, id, before, nowMs, timeoutSeconds);
            if (pinned != id && IsEligible(frontend, pinned, out BackendEntry other, out isCanary))
            {
                (id, backend) = (pinned, other); // another worker pinned the client a moment earlier
                how = new Selection { Kind = SelectionKind.Pinned, IsCanary = isCanary };
            }
        }

        return problem;
    }

    /// <summary>The frontend's set, in the scope that the client uses, holds the backend now: policy, hints and readiness come first.</summary>
    private bool IsEligible(in Frontend frontend, uint id, out BackendEntry backend, out bool isCanary)
    {
        backend = default;
        var key = new EligibleKey(frontend.Entry.RevNatId, frontend.Key.Scope, id);
        bool isEligible = maps.Eligible.TryLookup(key, out _);
        isCanary = !isEligible && (frontend.Entry.Flags & ServiceFlags.Split) != ServiceFlags.None
            && maps.Eligible.TryLookup(key with { Scope = key.Scope.Canary() }, out _);
        return (isEligible || isCanary) && maps.Backends.TryLookup(id, out backend);
    }

    private DropReason Choose(
        in Frontend frontend, in FlowTuple tuple, out ServiceEntry head, out Selection how, out uint id, out BackendEntry backend)
    {
        ServiceKey key = frontend.Key;
        head = frontend.Entry;
        for (int look = 0; look < MostLooks; look++)
        {
            if (look > 0 && !maps.Services.TryLookup(key, out head))
            {
                break; // the frontend itself has gone
            }

            if (head.Algorithm > SelectionAlgorithm.Random || (head.Flags & ServiceFlags.Split) != ServiceFlags.None)
            {
                if (TryChooseOtherwise(key, head, tuple, out bool isEmpty, out how, out id, out backend))
                {
                    return DropReason.None;
                }

                if (isEmpty)
                {
                    return DropReason.NoBackend;
                }

                continue;
            }

            if (head.Count == 0)
            {
                break;
            }

            uint number = random.Next();
            uint at = SlotOf(number, head.Count);
            if (maps.Services.TryLookup(key with { Slot = at }, out ServiceEntry slot)
                && maps.Backends.TryLookup(slot.BackendId, out backend))
            {
                id = slot.BackendId;
                how = new Selection { Kind = SelectionKind.Random, Number = number, Slot = at };
                return DropReason.None;
            }
        }

        id = 0;
        backend = default;
        how = default;
        return head.Count == 0 ? DropReason.NoBackend : DropReason.MapsInMotion;
    }

    /// <summary>A slot from 1 to count, each as likely (Lemire 2019: by multiplication).</summary>
    private static uint SlotOf(uint number, uint count) => 1 + (uint)(((ulong)number * count) >> 32);
}
