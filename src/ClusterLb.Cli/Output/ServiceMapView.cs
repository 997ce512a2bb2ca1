using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>One entry of the service map: a frontend (slot 0) or one of its slots.</summary>
/// <param name="Frontend">The address part of the key.</param>
/// <param name="Scope">external or internal; with a split also external canary, internal canary.</param>
/// <param name="Slot">0 is the frontend itself.</param>
/// <param name="RevNatId">The frontend's id.</param>
/// <param name="ServicePortId">The service port's id.</param>
/// <param name="BackendId">Null in slot 0.</param>
/// <param name="Backend">Null in slot 0.</param>
/// <param name="Count">Slot 0: how many slots follow. Else null.</param>
/// <param name="Flags">Slot 0 only.</param>
internal sealed record ServiceMapView(
    string Frontend,
    string Scope,
    uint Slot,
    uint RevNatId,
    uint ServicePortId,
    uint? BackendId,
    string? Backend,
    uint? Count,
    IReadOnlyList<string>? Flags)
{
    /// <summary>The service map in the order of its keys.</summary>
    public static IEnumerable<ServiceMapView> All(LbMaps maps, bool frontendsOnly) =>
        from pair in maps.Services.Entries()
        let key = pair.Key
        where key.Slot == 0 || !frontendsOnly
        orderby key.Address, key.Port, key.Protocol, key.Scope, key.Slot
        select Of(maps, key, pair.Value);

    /// <summary>Cilium's second column: <c>0.0.0.0:0 (4) (0) [ClusterIP, non-routable]</c>.</summary>
    public override string ToString()
    {
        string scope = Scope == "external" ? "" : $" [{Scope}]";
        return Slot == 0
            ? $"{(Frontend[0] == '[' ? "[::]:0" : "0.0.0.0:0")} ({RevNatId}) (0) [{string.Join(", ", Flags ?? [])}]{scope}"
            : $"{Backend} ({RevNatId}) ({Slot}){scope}";
    }

    private static ServiceMapView Of(LbMaps maps, ServiceKey key, ServiceEntry entry)
    {
        string frontend = Words.AddressOf(key.Address, key.Port, key.Protocol);
        string scope = Words.ScopeOf(key.Scope);
        if (key.Slot == 0)
        {
            IReadOnlyList<string> flags = entry.Flags.HasFlag(ServiceFlags.ActiveAddress)
                ? entry.Flags.HasFlag(ServiceFlags.LoadBalancer) ? ["address in use", "answers pings"] : ["address in use"]
                : Words.FlagsOf(entry);
            return new ServiceMapView(
                frontend, scope, 0, entry.RevNatId, entry.ServicePortId, BackendId: null, Backend: null, entry.Count, flags);
        }

        string backend = maps.Backends.TryLookup(entry.BackendId, out BackendEntry found)
            ? Words.AddressOf(found)
            : $"backend {entry.BackendId} (gone)";
        return new ServiceMapView(
            frontend, scope, key.Slot, entry.RevNatId, entry.ServicePortId, entry.BackendId, backend, Count: null, Flags: null);
    }
}
