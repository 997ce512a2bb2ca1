using System.Text;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What the maps say, as text without ids: equal meaning gives equal text, whatever the history. For tests and people.</summary>
public static class MapDump
{
    /// <summary>Dumps all maps. A reference that leads nowhere is shown as <c>MISSING</c>.</summary>
    public static string Of(LbMaps maps)
    {
        var text = new StringBuilder();
        AppendNode(maps, text);
        Append(text, "networks", maps.Networks.Entries().OrderBy(e => e.Key).Select(e => $"{e.Key}  {e.Value}"));
        AppendFrontends(maps, text);
        Append(text, "active addresses", Heads(maps).Where(e => IsMark(e.Value)).Select(e => e.Key.Address.ToString()));
        Append(text, "source ranges", maps.SourceRanges.Entries().Select(e => $"{PortOf(maps, e.Key.ServicePortId)}: {e.Key.Sources}")
            .Order(StringComparer.Ordinal));
        Append(text, "serving", maps.Serving.Entries().GroupBy(e => e.Key.ServicePortId)
            .Select(g => $"{PortOf(maps, g.Key)}: {string.Join(", ", g.Select(e => BackendOf(maps, e.Key.BackendId)).Order(StringComparer.Ordinal))}")
            .Order(StringComparer.Ordinal));
        Append(text, "backends", maps.Backends.Entries()
            .Select(e => $"{Show(e.Value.Address, e.Value.Port, e.Value.Protocol)}{(e.Value.State == BackendState.Active ? "" : $"  {e.Value.State}")}")
            .Order(StringComparer.Ordinal));
        Append(text, "eligible", maps.Eligible.Entries()
            .Select(e => $"{FrontendOf(maps, e.Key.RevNatId)} {e.Key.Scope}: {BackendOf(maps, e.Key.BackendId)}").Order(StringComparer.Ordinal));
        Append(text, "maglev", maps.Maglev.Keys().Select(key => TableOf(maps, key)).Order(StringComparer.Ordinal));
        return text.ToString();
    }

    /// <summary>Each backend with the slots it has, and a number that changes with the order of the slots.</summary>
    private static string TableOf(LbMaps maps, MaglevKey key)
    {
        var table = new uint[maps.Maglev.TableSize];
        maps.Maglev.TryRead(key, table);
        Dictionary<uint, string> names = table.Distinct().ToDictionary(id => id, id => BackendOf(maps, id));
        IEnumerable<string> shares = table.CountBy(id => id).Select(pair => $"{names[pair.Key]} {pair.Value}").Order(StringComparer.Ordinal);
        uint order = table.Aggregate(0u, (sum, id) => (sum * 31) + (uint)names[id].Sum(c => c));
        return $"{PortOf(maps, key.ServicePortId)} {key.Set}: {string.Join(", ", shares)} ({order:x8})";
    }

    private static void AppendNode(LbMaps maps, StringBuilder text)
    {
        if (maps.Node.TryLookup(0, out NodeEntry node))
        {
            string primaries = string.Join(", ", new[] { node.PrimaryIpv4, node.PrimaryIpv6 }.Where(a => a != default));
            text.Append($"node\n  {node.Flags}{(primaries.Length > 0 ? $", masquerade as {primaries}" : "")}\n");
        }
    }

    private static void AppendFrontends(LbMaps maps, StringBuilder text)
    {
        var lines = new List<string>();
        foreach ((ServiceKey key, ServiceEntry head) in Heads(maps).Where(e => !IsMark(e.Value)))
        {
            string scope = key.Scope switch
            {
                LookupScope.External => "",
                LookupScope.Internal => " internal",
                LookupScope.ExternalCanary => $" canary {head.SharePercent}%",
                _ => $" internal canary {head.SharePercent}%",
            };
            string flags = head.Flags == ServiceFlags.None ? "" : $" [{head.Flags}]";
            string reverse = FrontendOf(maps, head.RevNatId);
            string frontend = Show(key.Address, key.Port, key.Protocol);
            lines.Add($"{frontend}{scope}  {PortOf(maps, head.ServicePortId)}{flags}{(reverse == frontend ? "" : $" reverse NAT {reverse}")}");
            lines.AddRange(Slots(maps, key, head).Order(StringComparer.Ordinal).Select(s => "  " + s));
        }

        Append(text, "frontends", lines);
        int counted = Heads(maps).Sum(e => 1 + (int)e.Value.Count);
        if (counted != maps.Services.Count)
        {
            text.Append($"{maps.Services.Count - counted} STRAY slots\n");
        }

        if (maps.ReverseNat.Count != Heads(maps).Count(e => !IsMark(e.Value) && e.Key.Scope == LookupScope.External))
        {
            text.Append("STRAY reverse NAT entries\n");
        }

        if (maps.ServicePorts.Count != maps.ServiceNames.Count)
        {
            text.Append("STRAY service ports or names\n");
        }
    }

    private static IEnumerable<string> Slots(LbMaps maps, ServiceKey key, ServiceEntry head)
    {
        for (uint slot = 1; slot <= head.Count; slot++)
        {
            if (!maps.Services.TryLookup(key with { Slot = slot }, out ServiceEntry entry))
            {
                yield return "MISSING slot";
                continue;
            }

            bool isSame = entry.RevNatId == head.RevNatId && entry.ServicePortId == head.ServicePortId;
            bool serves = maps.Serving.TryLookup(new ServingKey(head.ServicePortId, entry.BackendId), out _);
            yield return $"-> {BackendOf(maps, entry.BackendId)}{(isSame ? "" : " of ANOTHER frontend")}{(serves ? "" : " NOT SERVING")}";
        }
    }

    private static IOrderedEnumerable<KeyValuePair<ServiceKey, ServiceEntry>> Heads(LbMaps maps) =>
        maps.Services.Entries().Where(e => e.Key.Slot == 0)
            .OrderBy(e => e.Key.Address).ThenBy(e => e.Key.Port).ThenBy(e => e.Key.Protocol).ThenBy(e => e.Key.Scope);

    private static bool IsMark(ServiceEntry head) => head.Flags.HasFlag(ServiceFlags.ActiveAddress);

    private static string BackendOf(LbMaps maps, uint id) =>
        maps.Backends.TryLookup(id, out BackendEntry entry) ? Show(entry.Address, entry.Port, entry.Protocol) : "MISSING backend";

    private static string FrontendOf(LbMaps maps, uint id) =>
        maps.ReverseNat.TryLookup(id, out ReverseNatEntry entry) ? Show(entry.Address, entry.Port, entry.Protocol) : "MISSING";

    private static string PortOf(LbMaps maps, uint id) =>
        maps.ServicePorts.TryLookup(id, out _) && maps.ServiceNames.TryLookup(id, out string? name) ? name : "MISSING service port";

    private static string Show(IpAddr address, ushort port, IpProtocol protocol) =>
        $"{address.WithPort(port)}/{protocol.ToString().ToUpperInvariant()}";

    private static void Append(StringBuilder text, string title, IEnumerable<string> lines)
    {
        string[] all = [.. lines];
        if (all.Length > 0)
        {
            text.Append(title).Append('\n');
            Array.ForEach(all, line => text.Append("  ").Append(line).Append('\n'));
        }
    }
}
