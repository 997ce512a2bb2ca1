using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>What an earlier life left behind: taken over first, removed only when a complete sync did not confirm it.</summary>
public sealed partial class MapReconciler
{
    private readonly HashSet<ObjectName> _unconfirmed = [];

    /// <summary>Removes what no sync of this life has confirmed. To be called once all services were synced.</summary>
    public void RemoveUnconfirmed()
    {
        foreach (ObjectName service in _unconfirmed.ToArray())
        {
            Sync(ServiceImage.Nothing(service));
        }

        RemoveStrays();
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
    private void RemoveStrays()
    {
        // Frontends before slots before backends, as everywhere.
        RemoveWhere(_maps.Services, e => e.Key.Slot == 0 && !IsOwnHead(e.Key));
        RemoveWhere(_maps.Services, e => e.Key.Slot != 0 && !IsCountedSlot(e.Key));
        RemoveWhere(_maps.ReverseNat, e => !IsOwnFrontend(e.Key, e.Value));

        var ports = new Dictionary<uint, ServicePortLedger>();
        foreach (ServicePortLedger port in _ledgers.Values.SelectMany(l => l.Ports))
        {
            ports.Add(port.Id, port);
        }

        if (_maps.Serving.Count != ports.Values.Sum(p => p.Serving.Count(s => s.State != BackendState.NotServing)))
        {
            HashSet<ServingKey> serving = [.. ports.Values.SelectMany(p => p.Serving, (p, s) => new ServingKey(p.Id, s.Id))];
            RemoveWhere(_maps.Serving, e => !serving.Contains(e.Key));
        }

        RemoveTables([.. _maps.Maglev.Keys().Where(
            key => !ports.TryGetValue(key.ServicePortId, out ServicePortLedger? port) || !Array.Exists(port.Tables, t => t.Key == key))]);
        RemoveWhere(_maps.ServicePorts, e => !ports.ContainsKey(e.Key));
        RemoveWhere(_maps.ServiceNames, e => !ports.ContainsKey(e.Key));
        if (_maps.SourceRanges.Count != ports.Values.Sum(p => p.SourceRanges.Length))
        {
            RemoveWhere(_maps.SourceRanges, e => !ports.TryGetValue(e.Key.ServicePortId, out ServicePortLedger? port)
                || Array.IndexOf(port.SourceRanges, e.Key.Sources) < 0);
        }

        RemoveUnbackedEligible();
        RemoveWhere(_maps.Backends, e => !_backends.IsUsed(e.Key));
    }

    /// <summary>Whoever was killed between the removal of a slot and of what said that clients may stay with its backend left the latter.</summary>
    private void RemoveUnbackedEligible()
    {
        if (_maps.Eligible.Count == 0)
        {
            return;
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

        RemoveWhere(_maps.Eligible, e => !backed.Contains(e.Key));
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

    private void RemoveWhere<TKey, TEntry>(ILbMap<TKey, TEntry> map, Func<KeyValuePair<TKey, TEntry>, bool> isStray)
        where TKey : notnull
    {
        // Collected first: an enumeration need not survive a deletion.
        foreach (TKey key in map.Entries().Where(isStray).Select(e => e.Key).ToArray())
        {
            _writer.Remove(map, key);
        }
    }
}
