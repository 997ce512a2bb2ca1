using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Chooses the backend of a new flow: uniformly at random among the slots (semantics R14).</summary>
internal sealed class BackendSelector(LbMaps maps, RandomSource random)
{
    // The writer removes a backend's slot before its entry, and lowers the count before it removes the last slot: a reader who
    // is overtaken finds the new count on the next look. Three overtakings in one packet's time do not happen by chance.
    private const int MostLooks = 4;

    /// <summary>Chooses among the slots there are now.</summary>
    /// <param name="frontend">Whose slots.</param>
    /// <param name="head">Slot 0 as it was read last; default if the frontend has gone.</param>
    /// <param name="id">The backend's id.</param>
    /// <param name="backend">Its address and port.</param>
    /// <returns>None; or <see cref="DropReason.NoBackend"/> if the last slot has just gone; or <see cref="DropReason.MapsInMotion"/>.</returns>
    public DropReason Select(in Frontend frontend, out ServiceEntry head, out uint id, out BackendEntry backend)
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
