using System.Globalization;
using ClusterLb.ControlPlane.Model;
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
/// <param name="Algorithm">How a new flow gets its backend.</param>
/// <param name="Backends">For everyone; with two scopes for sources outside of the cluster.</param>
/// <param name="InternalBackends">With two scopes: for pods and this node. Else null.</param>
/// <param name="SharePercent">With a split: of the new flows, for the canary's backends. Else null.</param>
/// <param name="CanaryBackends">With a split: backends of the other service, beside <paramref name="Backends"/>. Else null.</param>
/// <param name="InternalCanaryBackends">With a split and two scopes: beside <paramref name="InternalBackends"/>. Else null.</param>
internal sealed record FrontendView(
    uint Id,
    string Frontend,
    string Type,
    string Service,
    uint ServicePortId,
    IReadOnlyList<string> Flags,
    uint? Affinity,
    string Algorithm,
    IReadOnlyList<SlotView> Backends,
    IReadOnlyList<SlotView>? InternalBackends,
    uint? SharePercent,
    IReadOnlyList<SlotView>? CanaryBackends,
    IReadOnlyList<SlotView>? InternalCanaryBackends)
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
        Words.FlagsOf(entry),
        entry.Flags.HasFlag(ServiceFlags.Affinity) ? entry.AffinityTimeoutSeconds : null,
        AlgorithmNames.Of(entry.Algorithm),
        SlotView.All(maps, key, entry.Count),
        SlotsIf(ServiceFlags.TwoScopes, LookupScope.Internal, maps, key, entry),
        entry.Flags.HasFlag(ServiceFlags.Split) ? entry.SharePercent : null,
        SlotsIf(ServiceFlags.Split, LookupScope.ExternalCanary, maps, key, entry),
        SlotsIf(ServiceFlags.Split | ServiceFlags.TwoScopes, LookupScope.InternalCanary, maps, key, entry));

    private static IReadOnlyList<SlotView>? SlotsIf(ServiceFlags needed, LookupScope scope, LbMaps maps, ServiceKey key, ServiceEntry entry)
    {
        if (!entry.Flags.HasFlag(needed))
        {
            return null;
        }

        ServiceKey other = key with { Scope = scope };
        return maps.Services.TryLookup(other, out ServiceEntry head) ? SlotView.All(maps, other, head.Count) : [];
    }
}
