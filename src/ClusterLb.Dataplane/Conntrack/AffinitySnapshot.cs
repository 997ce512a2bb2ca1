using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A client that is pinned to a backend, as people and the control path see it: a copy of one moment.</summary>
/// <param name="ServicePortId">The service port's id: all its frontends of a family share the entry.</param>
/// <param name="Client">The client's address; default for a client of socket mode, which is known by its network namespace only.</param>
/// <param name="BackendId">The backend's id; whether a frontend may still use it, the map of eligible backends tells.</param>
/// <param name="LastUsedMs">Of the latest new connection, CLOCK_MONOTONIC milliseconds.</param>
/// <param name="TimeoutSeconds">As it was then.</param>
/// <param name="RemainingSeconds">Until the client is free, rounded up; 0 or less if that time has passed and nobody has swept it yet.</param>
public sealed record AffinitySnapshot(
    uint ServicePortId, IpAddr Client, uint BackendId, long LastUsedMs, uint TimeoutSeconds, long RemainingSeconds)
{
    internal static AffinitySnapshot Of<TKey>(in AffinityPlace<TKey> place, long nowMs)
        where TKey : unmanaged, IAffinityKey<TKey>
    {
        long expiresMs = AffinityUse.ExpiresMs(place.Use);
        long lastUsedMs = AffinityUse.LastUsedMs(place.Use);
        return new AffinitySnapshot(
            place.Key.ServicePortId,
            place.Key.ClientKind == AffinityClient.Address ? place.Key.ClientAddress : default,
            place.BackendId,
            lastUsedMs,
            (uint)((expiresMs - lastUsedMs) / 1000),
            (long)Math.Ceiling((expiresMs - nowMs) / 1000.0));
    }
}
