using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What an earlier life left behind: taken over first, removed only when a complete sync did not confirm it.</summary>
public sealed partial class MapReconciler
{
    /// <summary>Entries that are looked at between two chances for a change: some 10 µs.</summary>
    private const int LooksAtOnce = 256;

    private readonly HashSet<ObjectName> _unconfirmed = [];

    /// <summary>Removes what no sync of this life has confirmed. To be called once all services were synced.</summary>
    /// <param name="giveWay">Called again and again meanwhile: may sync services, so that a change need not wait until all maps were looked
    /// through. Returns false if nothing more is to be removed now.</param>
    public void RemoveUnconfirmed(Func<bool> giveWay)
    {
        foreach (ObjectName service in _unconfirmed.ToArray())
        {
            if (!giveWay())
            {
                return;
            }

            if (_unconfirmed.Contains(service))
            {
                Sync(ServiceImage.Nothing(service));
            }
        }

        RemoveStrays(giveWay);
        _maps.CountDeparture(); // a writer that was killed may not have come to it
    }

    private void Adopt()
    {
        _backends.Adopt();
        foreach ((uint id, ReverseNatEntry entry) in _maps.ReverseNat.Entries())
        {
            _frontendIds.Learn(new FrontendKey(entry.Address, entry.Port, entry.Protocol), id);
        }

        Dictionary<uint, List<FrontendKey>> frontends = AdoptHeads();
        foreach ((uint id, ServicePortEntry entry) in _maps.ServicePorts.Entries())
        {
            _portIds.Reserve(id);
            _revision = Math.Max(_revision, entry.Revision);
        }

        var ports = new Dictionary<uint, ServicePortLedger>();
        foreach ((uint id, string name) in _maps.ServiceNames.Entries())
        {
            _portIds.Reserve(id);
            if (frontends.TryGetValue(id, out List<FrontendKey>? heads)
                && ServicePortKey.TryParse(name, heads[0].Protocol, heads[0].Address.IsIpv4, out ServicePortKey key)
                && _portIds.Learn(key, id))
            {
                ports.Add(id, new ServicePortLedger(key, id) { Frontends = [.. heads] });
            }
        }

        foreach (IGrouping<uint, MaglevKey> tables in _maps.Maglev.Keys().GroupBy(key => key.ServicePortId))
        {
            _portIds.Reserve(tables.Key);
            if (ports.TryGetValue(tables.Key, out ServicePortLedger? port))
            {
                port.Tables = [.. tables.Select(key => new MaglevTableLedger(key, 0))]; // of what, the next image will show
            }
        }

        AdoptServing(ports);
        AdoptSourceRanges(ports);
        foreach (IGrouping<ObjectName, ServicePortLedger> service in ports.Values.GroupBy(p => p.Key.Service))
        {
            ServicePortLedger[] ledgers = [.. service];
            _ledgers.Add(service.Key, new ServiceLedger(ledgers, AdoptedClaims(ledgers)));
            _unconfirmed.Add(service.Key);
        }

        foreach ((uint id, ServicePortLedger port) in ports)
        {
            _ports.Add(id, port);
        }
    }

    /// <summary>Frontends by service port id.</summary>
    private Dictionary<uint, List<FrontendKey>> AdoptHeads()
    {
        var frontends = new Dictionary<uint, List<FrontendKey>>();
        ImmutableHashSet<FrontendKey>.Builder external = ExternalFrontends.ToBuilder();
        foreach ((ServiceKey key, ServiceEntry entry) in _maps.Services.Entries())
        {
            _frontendIds.Reserve(entry.RevNatId);
            _portIds.Reserve(entry.ServicePortId);
            if (key.Slot != 0)
            {
                _backends.Reserve(entry.BackendId);
            }
            else if (key.Scope == LookupScope.External)
            {
                var frontend = new FrontendKey(key.Address, key.Port, key.Protocol);
                _ = IsExternal(entry) && external.Add(frontend);
                if (entry.Flags.HasFlag(ServiceFlags.ActiveAddress))
                {
                    continue; // its service is told by the frontends at this address
                }

                if (!frontends.TryGetValue(entry.ServicePortId, out List<FrontendKey>? heads))
                {
                    frontends.Add(entry.ServicePortId, heads = []);
                }

                heads.Add(frontend);
            }
        }

        ExternalFrontends = external.ToImmutable();
        return frontends;
    }

    private void AdoptServing(Dictionary<uint, ServicePortLedger> ports)
    {
        var serving = new Dictionary<uint, List<ServingBackend>>();
        foreach ((ServingKey key, _) in _maps.Serving.Entries())
        {
            _portIds.Reserve(key.ServicePortId);
            _backends.Reserve(key.BackendId);
            if (!ports.ContainsKey(key.ServicePortId) || !_maps.Backends.TryLookup(key.BackendId, out BackendEntry entry))
            {
                continue;
            }

            // The entry has one state for all its ports: taken as this port's own until its image says better.
            var image = new BackendImage(new BackendKey(entry.Address, entry.Port, entry.Protocol), entry.State);
            if (_backends.TryTake(image, out uint id) && id != key.BackendId)
            {
                _backends.Return(id, entry.State); // two ids for one backend: this one is a stray
                continue;
            }

            if (!serving.TryGetValue(key.ServicePortId, out List<ServingBackend>? backends))
            {
                serving.Add(key.ServicePortId, backends = []);
            }

            backends.Add(new ServingBackend(id, entry.State));
        }

        foreach ((uint port, List<ServingBackend> backends) in serving)
        {
            ports[port].Serving = [.. backends];
        }
    }

    private void AdoptSourceRanges(Dictionary<uint, ServicePortLedger> ports)
    {
        foreach (IGrouping<uint, SourceRangeKey> ranges in _maps.SourceRanges.Entries().Select(e => e.Key).GroupBy(key => key.ServicePortId))
        {
            _portIds.Reserve(ranges.Key);
            if (ports.TryGetValue(ranges.Key, out ServicePortLedger? port))
            {
                port.SourceRanges = [.. ranges.Select(key => key.Sources)];
            }
        }
    }

    private FrontendKey[] AdoptedClaims(ServicePortLedger[] ports)
    {
        FrontendKey[] frontends = [.. ports.SelectMany(p => p.Frontends)];
        IEnumerable<FrontendKey> marks = frontends
            .Select(f => AddressMark.KeyOf(f.Address))
            .Distinct()
            .Where(m => _maps.Services.TryLookup(HeadKey(m, LookupScope.External), out _));
        return [.. frontends, .. marks];
    }

    /// <summary>Removes entries that no service accounts for: left by a writer that was killed, or damaged.</summary>
    /// <remarks>What is a stray is asked of the ledgers as they are at that moment: services may be synced in between.</remarks>
    private void RemoveStrays(Func<bool> giveWay)
    {
        // Frontends before slots before backends, as everywhere.
        _ = RemoveWhere(_maps.Services, (key, _) => key.Slot == 0 && !IsOwnHead(key), giveWay)
            && RemoveWhere(_maps.Services, (key, _) => key.Slot != 0 && !IsCountedSlot(key), giveWay)
            && RemoveWhere(_maps.ReverseNat, (id, entry) => !IsOwnFrontend(id, entry), giveWay)
            && (_maps.Serving.Count == _ports.Values.Sum(ServingCount) || RemoveWhere(_maps.Serving, (key, _) => !IsOwnServing(key), giveWay))
            && RemoveStrayTables()
            && RemoveWhere(_maps.ServicePorts, (id, _) => !_ports.ContainsKey(id), giveWay)
            && RemoveWhere(_maps.ServiceNames, (id, _) => !_ports.ContainsKey(id), giveWay)
            && (_maps.SourceRanges.Count == _ports.Values.Sum(p => p.SourceRanges.Length)
                || RemoveWhere(_maps.SourceRanges, (key, _) => !IsOwnSourceRange(key), giveWay))
            && RemoveUnbackedEligible()
            && RemoveWhere(_maps.Backends, (id, _) => !_backends.IsUsed(id), giveWay);
    }

    private bool RemoveStrayTables()
    {
        RemoveTables([.. _maps.Maglev.Keys().Where(
            key => !_ports.TryGetValue(key.ServicePortId, out ServicePortLedger? port) || !Array.Exists(port.Tables, t => t.Key == key))]);
        return true;
    }

    /// <summary>Whoever was killed between the removal of a slot and of what said that clients may stay with its backend left the latter.</summary>
    private bool RemoveUnbackedEligible()
    {
        if (_maps.Eligible.Count == 0)
        {
            return true;
        }

        var sticky = new HashSet<ServiceKey>(); // heads
        foreach ((ServiceKey key, ServiceEntry entry) in _maps.Services.Entries())
        {
            if (key.Slot == 0 && entry.Flags.HasFlag(ServiceFlags.Affinity))
            {
                sticky.Add(key);
            }
        }

        var backed = new HashSet<EligibleKey>();
        foreach ((ServiceKey key, ServiceEntry entry) in _maps.Services.Entries())
        {
            if (key.Slot != 0 && sticky.Contains(key with { Slot = 0 }))
            {
                backed.Add(new EligibleKey(entry.RevNatId, key.Scope, entry.BackendId));
            }
        }

        return RemoveWhere(_maps.Eligible, (key, _) => !backed.Contains(key)); // without giving way: `backed` is of this moment
    }

    private bool IsOwnHead(ServiceKey key)
    {
        var frontend = new FrontendKey(key.Address, key.Port, key.Protocol);
        return _claims.IsOwned(frontend)
            && (frontend.IsAddressMark || _frontendIds.TryGet(frontend, out _))
            && (key.Scope == LookupScope.External
                || (_maps.Services.TryLookup(HeadKey(frontend, LookupScope.External), out ServiceEntry head) && LeadsTo(head, key.Scope)));
    }

    private static bool LeadsTo(ServiceEntry head, LookupScope scope) =>
        (!scope.IsCanary() || head.Flags.HasFlag(ServiceFlags.Split))
        && (scope is LookupScope.External or LookupScope.ExternalCanary || head.Flags.HasFlag(ServiceFlags.TwoScopes));

    private bool IsCountedSlot(ServiceKey key) =>
        _maps.Services.TryLookup(key with { Slot = 0 }, out ServiceEntry head) && key.Slot <= head.Count;

    private bool IsOwnFrontend(uint id, ReverseNatEntry entry)
    {
        var frontend = new FrontendKey(entry.Address, entry.Port, entry.Protocol);
        return _claims.IsOwned(frontend) && _frontendIds.TryGet(frontend, out uint own) && own == id;
    }

    private static int ServingCount(ServicePortLedger port) => port.Serving.Count(s => s.State != BackendState.NotServing);

    private bool IsOwnServing(ServingKey key) =>
        _ports.TryGetValue(key.ServicePortId, out ServicePortLedger? port)
        && Array.Exists(port.Serving, s => s.Id == key.BackendId && s.State != BackendState.NotServing);

    private bool IsOwnSourceRange(SourceRangeKey key) =>
        _ports.TryGetValue(key.ServicePortId, out ServicePortLedger? port) && Array.IndexOf(port.SourceRanges, key.Sources) >= 0;

    /// <summary>Looks at every entry and removes those that are strays.</summary>
    /// <returns>False if it was told to stop; then nothing was removed.</returns>
    private bool RemoveWhere<TKey, TEntry>(ILbMap<TKey, TEntry> map, Func<TKey, TEntry, bool> isStray, Func<bool>? giveWay = null)
        where TKey : notnull
    {
        // Collected first: an enumeration need not survive a deletion. Who gave way asks again before it removes.
        var strays = new List<TKey>();
        int looks = 0;
        foreach ((TKey key, TEntry entry) in map.Entries())
        {
            if (isStray(key, entry))
            {
                strays.Add(key);
            }

            if (++looks % LooksAtOnce == 0 && giveWay?.Invoke() == false)
            {
                return false;
            }
        }

        foreach (TKey key in strays)
        {
            if (map.TryLookup(key, out TEntry entry) && isStray(key, entry))
            {
                _writer.Remove(map, key);
            }
        }

        return true;
    }
}
