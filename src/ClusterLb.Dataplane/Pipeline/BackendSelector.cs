using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Chooses the backend of a new flow: the one that the client is pinned to, else uniformly at random among the slots
/// (semantics R14, R31 to R33).</summary>
internal sealed class BackendSelector(LbMaps maps, FlowTables flows, RandomSource random)
{
    // The writer removes a backend's slot before its entry, and lowers the count before it removes the last slot: a reader who
    // is overtaken finds the new count on the next look. Three overtakings in one packet's time do not happen by chance.
    private const int MostLooks = 4;

    /// <summary>Chooses among the slots there are now.</summary>
    /// <param name="frontend">Whose slots.</param>
    /// <param name="client">Whose flow.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="head">Slot 0 as it was read last; default if the frontend has gone.</param>
    /// <param name="id">The backend's id.</param>
    /// <param name="backend">Its address and port.</param>
    /// <returns>None; or <see cref="DropReason.NoBackend"/> if the last slot has just gone; or <see cref="DropReason.MapsInMotion"/>.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public DropReason Select(
        in Frontend frontend, IpAddr client, long nowMs, out ServiceEntry head, out uint id, out BackendEntry backend) =>
        (frontend.Entry.Flags & ServiceFlags.Affinity) == ServiceFlags.None
            ? Choose(frontend, out head, out id, out backend)
            : ChoosePinned(frontend, client, nowMs, out head, out id, out backend);

    /// <summary>What the client had within the timeout, if this frontend may still use it; else a new choice, to which it is pinned.</summary>
    private DropReason ChoosePinned(
        in Frontend frontend, IpAddr client, long nowMs, out ServiceEntry head, out uint id, out BackendEntry backend)
    {
        uint port = frontend.Entry.ServicePortId;
        uint timeoutSeconds = frontend.Entry.AffinityTimeoutSeconds;
        bool wasPinned = flows.TryUseAffinity(port, client, nowMs, timeoutSeconds, out id);
        if (wasPinned && IsEligible(frontend, id, out backend))
        {
            head = frontend.Entry;
            return DropReason.None;
        }

        uint before = wasPinned ? id : 0;
        DropReason problem = Choose(frontend, out head, out id, out backend);
        if (problem == DropReason.None)
        {
            uint pinned = flows.PinAffinity(port, client, id, before, nowMs, timeoutSeconds);
            if (pinned != id && IsEligible(frontend, pinned, out BackendEntry other))
            {
                (id, backend) = (pinned, other); // another worker pinned the client a moment earlier
            }
        }

        return problem;
    }

    /// <summary>The frontend's set, in the scope that the client uses, holds the backend now: policy, hints and readiness come first.</summary>
    private bool IsEligible(in Frontend frontend, uint id, out BackendEntry backend)
    {
        backend = default;
        return maps.Eligible.TryLookup(new EligibleKey(frontend.Entry.RevNatId, frontend.Key.Scope, id), out _)
            && maps.Backends.TryLookup(id, out backend);
    }

    private DropReason Choose(in Frontend frontend, out ServiceEntry head, out uint id, out BackendEntry backend)
    {
        ServiceKey key = frontend.Key;
        head = frontend.Entry;
        for (int look = 0; look < MostLooks; look++)
        {
            if (look > 0 && !maps.Services.TryLookup(key, out head))
            {
                break; // the frontend itself has gone
            }

            if (head.Count == 0)
            {
                break;
            }

            if (maps.Services.TryLookup(key with { Slot = 1 + random.Next(head.Count) }, out ServiceEntry slot)
                && maps.Backends.TryLookup(slot.BackendId, out backend))
            {
                id = slot.BackendId;
                return DropReason.None;
            }
        }

        id = 0;
        backend = default;
        return head.Count == 0 ? DropReason.NoBackend : DropReason.MapsInMotion;
    }
}
