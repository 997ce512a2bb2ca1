using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>A client that is pinned to a backend.</summary>
/// <param name="Service"><c>namespace/name:port</c>: all frontends of the port share the entry.</param>
/// <param name="Client">The client's address; <c>netns</c> for a client of socket mode.</param>
/// <param name="Backend">Address and port, or that it is gone: then the client's next connection chooses anew.</param>
/// <param name="RemainingSeconds">Until the client is free, if it opens no further connection.</param>
/// <param name="TimeoutSeconds">Of the service, at the client's latest connection.</param>
/// <param name="ServicePortId">The service port's id.</param>
/// <param name="BackendId">The backend's id.</param>
internal sealed record AffinityView(
    string Service, string Client, string Backend, long RemainingSeconds, uint TimeoutSeconds, uint ServicePortId, uint BackendId)
{
    /// <summary>The pin as people read it.</summary>
    public static AffinityView Of(AffinitySnapshot pin, LbMaps maps) => new(
        maps.ServiceNames.TryLookup(pin.ServicePortId, out string? name) ? name : $"service port {pin.ServicePortId}, gone",
        pin.Client == default ? "netns" : pin.Client.ToString(),
        maps.Backends.TryLookup(pin.BackendId, out BackendEntry backend) ? Words.AddressOf(backend) : $"backend {pin.BackendId}, gone",
        pin.RemainingSeconds,
        pin.TimeoutSeconds,
        pin.ServicePortId,
        pin.BackendId);
}
