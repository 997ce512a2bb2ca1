using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>One Maglev table: who has how many of its slots.</summary>
/// <param name="Service"><c>namespace/name:port</c>.</param>
/// <param name="ServicePortId">The service port's id.</param>
/// <param name="Set">cluster or local, and whether the backends are those of a canary.</param>
/// <param name="Digest">Of the whole table, by the addresses of the backends: the same on every node that chooses alike.</param>
/// <param name="Backends">By address.</param>
internal sealed record MaglevTableView(
    string Service, uint ServicePortId, string Set, string Digest, IReadOnlyList<MaglevShareView> Backends)
{
    /// <summary>Null if the table has just gone.</summary>
    public static MaglevTableView? Of(LbMaps maps, MaglevKey key)
    {
        var table = new uint[maps.Maglev.TableSize];
        if (!maps.Maglev.TryRead(key, table))
        {
            return null;
        }

        Dictionary<uint, string> names = table.Distinct().ToDictionary(id => id, id => NameOf(maps, id));
        return new MaglevTableView(
            maps.ServiceNames.TryLookup(key.ServicePortId, out string? name) ? name : $"service port {key.ServicePortId}",
            key.ServicePortId,
            SetOf(key.Set),
            DigestOf(table, names),
            [.. table.CountBy(id => id).Select(pair => new MaglevShareView(names[pair.Key], pair.Key, pair.Value)).OrderBy(share => share.Backend, StringComparer.Ordinal)]);
    }

    /// <summary>True for the service, with or without its namespace and its port.</summary>
    public bool Matches(string which)
    {
        string full = Service;
        string bare = full[(full.IndexOf('/', StringComparison.Ordinal) + 1)..];
        return IsNameOf(full) || IsNameOf(bare);

        bool IsNameOf(string service) =>
            service.StartsWith(which, StringComparison.Ordinal) && (service.Length == which.Length || service[which.Length] == ':');
    }

    private static string NameOf(LbMaps maps, uint id) =>
        maps.Backends.TryLookup(id, out BackendEntry backend) ? Words.AddressOf(backend) : $"backend {id} (gone)";

    private static string SetOf(BackendSetKind set) =>
        (set.HasFlag(BackendSetKind.Local) ? "local" : "cluster") + (set.HasFlag(BackendSetKind.Canary) ? " canary" : "");

    /// <summary>FNV-1a over the names, slot by slot.</summary>
    private static string DigestOf(uint[] table, Dictionary<uint, string> names)
    {
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (char c in table.SelectMany(id => names[id]))
        {
            hash = (hash ^ c) * 0x0000_0100_0000_01B3;
        }

        return hash.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
    }
}

/// <summary>A backend's share of a table.</summary>
/// <param name="Backend"><c>10.244.1.5:8080/TCP</c>.</param>
/// <param name="BackendId">Key of the backend map.</param>
/// <param name="Slots">How many of the table's slots it has.</param>
internal sealed record MaglevShareView(string Backend, uint BackendId, int Slots);
