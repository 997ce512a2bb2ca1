using System.Runtime.InteropServices;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Maglev tables, of services that choose by a hash: built anew when the set of backends changes, and only then.</summary>
public sealed partial class MapReconciler
{
    private readonly uint[] _table; // of the largest size there is; one writer, one table at a time

    /// <summary>Writes the tables that the frontends will ask for. Before the frontends, which name them, and before backends go.</summary>
    /// <returns>Tables that nobody will ask for any more, once the frontends are written.</returns>
    private List<MaglevKey> AddTables(ServicePortImage port, ServicePortLedger ledger, List<string> notices)
    {
        var gone = new List<MaglevKey>(ledger.Tables.Select(t => t.Key));
        if (gone.Count == 0 && port.Frontends.All(f => !AlgorithmOf(f).IsHash()))
        {
            return gone;
        }

        var tables = new List<MaglevTableLedger>();
        foreach ((MaglevKey key, IReadOnlyList<BackendKey> backends) in SetsOf(port, ledger))
        {
            List<(BackendKey Key, uint Id)> members = Members(backends, ledger);
            ulong fingerprint = FingerprintOf(members);
            bool isWritten = Array.Exists(ledger.Tables, t => t.Key == key && t.Fingerprint == fingerprint)
                && _maps.Maglev.TryPick(key, 0, out _, out _);
            if (members.Count > 0 && (isWritten || TryWriteTable(key, members)))
            {
                gone.Remove(key);
                tables.Add(new MaglevTableLedger(key, fingerprint));
            }
            else if (members.Count > 0)
            {
                // The frontend chooses by the hash all the same, among its slots.
                notices.Add($"port {port.Key}: there is no room for its Maglev table (maps.maglevTables is {_maps.Maglev.Capacity}): when a backend " +
                    "comes or goes, most new flows change theirs");
            }
        }

        ledger.Tables = [.. tables];
        return gone;
    }

    private void RemoveTables(IEnumerable<MaglevKey> gone)
    {
        foreach (MaglevKey key in gone)
        {
            _writer.RemoveTable(key);
        }
    }

    private bool TryWriteTable(MaglevKey key, List<(BackendKey Key, uint Id)> members)
    {
        if (_maps.Maglev.Seed != _selection.MaglevSeed)
        {
            _maps.Maglev.Seed = _selection.MaglevSeed;
        }

        MaglevTable.Fill(_table, members, _selection.MaglevSeed);
        return _writer.PutTable(key, _table);
    }

    /// <summary>The sets of backends that frontends choose from, one of each kind: frontends of the same kind share theirs.</summary>
    private Dictionary<MaglevKey, IReadOnlyList<BackendKey>> SetsOf(ServicePortImage port, ServicePortLedger ledger)
    {
        var sets = new Dictionary<MaglevKey, IReadOnlyList<BackendKey>>();
        foreach (FrontendImage frontend in port.Frontends.Where(f => AlgorithmOf(f).IsHash()))
        {
            var head = new ServiceEntry { ServicePortId = ledger.Id, Flags = frontend.Flags };
            foreach ((LookupScope scope, IReadOnlyList<BackendKey> slots) in frontend.Scopes())
            {
                sets.TryAdd(MaglevKey.Of(head, scope), slots);
            }
        }

        return sets;
    }

    private List<(BackendKey Key, uint Id)> Members(IReadOnlyList<BackendKey> backends, ServicePortLedger ledger)
    {
        var serving = new HashSet<uint>(ledger.Serving.Select(s => s.Id));
        var members = new List<(BackendKey Key, uint Id)>(backends.Count);
        foreach (BackendKey backend in backends)
        {
            if (_backends.TryGetId(backend, out uint id) && serving.Remove(id))
            {
                members.Add((backend, id));
            }
        }

        return members;
    }

    /// <summary>Of the ids in any order: a sum of hashes.</summary>
    private static ulong FingerprintOf(List<(BackendKey Key, uint Id)> members)
    {
        ulong sum = (ulong)members.Count;
        foreach ((_, uint id) in CollectionsMarshal.AsSpan(members))
        {
            sum += Dataplane.Maps.SeededHash.Of(id, 0x9FB2_1C65_1E98_DF25, 0xA076_1D64_78BD_642F);
        }

        return sum;
    }
}
