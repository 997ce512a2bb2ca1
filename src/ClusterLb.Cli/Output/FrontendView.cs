using System.Globalization;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>A frontend with its backends, as <c>service list</c> and <c>service get</c> show it.</summary>
/// <param name="Id">Key of the reverse NAT map: Cilium's service id.</param>
/// <param name="Frontend">What a client dials: <c>10.96.0.10:80/TCP</c>.</param>
/// <param name="Type">ClusterIP, NodePort, LoadBalancer or ExternalIP.</param>
/// <param name="Service"><c>namespace/name:port</c>; empty if the map of names does not know.</param>
/// <param name="ServicePortId">Shared by all frontends of a service port.</param>
/// <param name="Flags">As <c>bpf lb list</c> prints them.</param>
/// <param name="Affinity">Seconds that a client stays with its backend; null without session affinity.</param>
/// <param name="Backends">For everyone; with two scopes for sources outside of the cluster.</param>
/// <param name="InternalBackends">With two scopes: for pods and this node. Else null.</param>
internal sealed record FrontendView(
    uint Id,
    string Frontend,
    string Type,
    string Service,
    uint ServicePortId,
    IReadOnlyList<string> Flags,
    uint? Affinity,
    IReadOnlyList<SlotView> Backends,
    IReadOnlyList<SlotView>? InternalBackends)
{
    /// <summary>All frontends of the maps, by address, port and protocol.</summary>
    public static IEnumerable<FrontendView> All(LbMaps maps) =>
        from pair in maps.Services.Entries()
        where pair.Key.Slot == 0 && pair.Key.Scope == LookupScope.External && !pair.Value.Flags.HasFlag(ServiceFlags.ActiveAddress)
        orderby pair.Key.Address, pair.Key.Port, pair.Key.Protocol
        select Of(maps, pair.Key, pair.Value);

    /// <summary>True if a person who types <paramref name="text"/> means this frontend: its id, its address with or
    /// without port and protocol, or its service with or without port name.</summary>
    public bool Matches(string text) =>
        text == Id.ToString(CultureInfo.InvariantCulture)
        || IsPrefix(text, Frontend, ":/]") || IsPrefix("[" + text, Frontend, "]")
        || IsPrefix(text, Service, ":");

    /// <summary>True if <paramref name="text"/> is the service's name without its namespace, with or without port name.</summary>
    public bool MatchesBareName(string text) => IsPrefix(text, Service[(Service.IndexOf('/', StringComparison.Ordinal) + 1)..], ":");

    private static bool IsPrefix(string text, string whole, string boundaries) =>
        whole.StartsWith(text, StringComparison.OrdinalIgnoreCase)
        && (whole.Length == text.Length || boundaries.Contains(whole[text.Length], StringComparison.Ordinal));

    private static FrontendView Of(LbMaps maps, ServiceKey key, ServiceEntry entry) => new(
        entry.RevNatId,
        Words.AddressOf(key.Address, key.Port, key.Protocol),
        Words.TypeOf(entry.Flags),
        maps.ServiceNames.TryLookup(entry.ServicePortId, out string? name) ? name : "",
        entry.ServicePortId,
        Words.FlagsOf(entry.Flags),
        entry.Flags.HasFlag(ServiceFlags.Affinity) ? entry.AffinityTimeoutSeconds : null,
        SlotView.All(maps, key, entry.Count),
        InternalSlots(maps, key, entry));

    private static IReadOnlyList<SlotView>? InternalSlots(LbMaps maps, ServiceKey key, ServiceEntry entry)
    {
        if (!entry.Flags.HasFlag(ServiceFlags.TwoScopes))
        {
            return null;
        }

        ServiceKey inside = key with { Scope = LookupScope.Internal };
        return maps.Services.TryLookup(inside, out ServiceEntry scope) ? SlotView.All(maps, inside, scope.Count) : [];
    }
}
