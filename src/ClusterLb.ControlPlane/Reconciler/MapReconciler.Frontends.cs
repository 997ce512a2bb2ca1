using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Frontends and their slots.</summary>
public sealed partial class MapReconciler
{
    // The external one, which leads to the others, first.
    private static readonly LookupScope[] AllScopes =
        [LookupScope.External, LookupScope.Internal, LookupScope.ExternalCanary, LookupScope.InternalCanary];

    /// <summary>Node ports, frontends of load balancer and external addresses, and marks of load balancer addresses that are in the map: what
    /// has to be brought to the dataplane one by one. Another object whenever it changes.</summary>
    public ImmutableHashSet<FrontendKey> ExternalFrontends { get; private set; } = [];

    private void SyncFrontends(
        ServicePortImage port, ServicePortLedger ledger, HashSet<FrontendKey> owned, HashSet<FrontendKey> written)
    {
        var serving = new HashSet<uint>(ledger.Serving.Length);
        foreach (ServingBackend backend in ledger.Serving)
        {
            if (backend.State != BackendState.NotServing)
            {
                serving.Add(backend.Id);
            }
        }

        var frontends = new List<FrontendKey>(port.Frontends.Count);
        foreach (FrontendImage frontend in port.Frontends)
        {
            if (!owned.Contains(frontend.Key) || written.Contains(frontend.Key))
            {
                continue;
            }

            if (TryWriteFrontend(frontend, ledger.Id, PolicyOf(port), serving))
            {
                frontends.Add(frontend.Key);
                written.Add(frontend.Key);
            }
            else
            {
                RemoveUnwritten(frontend, serving); // no room: rather no frontend than one that is half right
            }
        }

        ledger.Frontends = [.. frontends];
    }

    private bool TryWriteFrontend(FrontendImage frontend, uint portId, BackendGonePolicy policy, HashSet<uint> serving)
    {
        FrontendKey key = frontend.Key;
        uint id = _frontendIds.Get(key);
        var head = new ServiceEntry
        {
            BackendId = ServiceEntry.PackAffinity(frontend.AffinitySeconds, AlgorithmOf(frontend)),
            RevNatId = id,
            ServicePortId = portId,
            Flags = frontend.Flags | policy.ToFlags() | (frontend.SharePercent > 0 ? ServiceFlags.Split : ServiceFlags.None),
            SharePercent = frontend.SharePercent,
        };

        // What the head of the external scope leads to is written before it, and removed after it.
        var scopes = new List<LookupScope>(AllScopes.Length);
        foreach ((LookupScope scope, IReadOnlyList<BackendKey> slots) in frontend.Scopes())
        {
            scopes.Add(scope);
            if ((scopes.Count == 1 && !_writer.Put(_maps.ReverseNat, id, new ReverseNatEntry(key.Address, key.Port, key.Protocol)))
                || !TryWriteScope(key, scope, head, Ids(slots, serving)))
            {
                return false;
            }
        }

        foreach (LookupScope scope in AllScopes)
        {
            if (!scopes.Contains(scope))
            {
                RemoveScope(key, scope);
            }
        }

        ExternalFrontends = IsExternal(head) ? ExternalFrontends.Add(key) : ExternalFrontends.Remove(key);
        return true;
    }

    private static bool IsExternal(in ServiceEntry head) =>
        (head.Flags & (ServiceFlags.NodePort | ServiceFlags.LoadBalancer | ServiceFlags.ExternalIp)) != ServiceFlags.None;

    private SelectionAlgorithm AlgorithmOf(FrontendImage frontend) =>
        frontend.Algorithm == SelectionAlgorithm.Default ? _selection.Algorithm : frontend.Algorithm;

    private BackendGonePolicy PolicyOf(ServicePortImage port) =>
        port.BackendGone == BackendGonePolicy.Default ? _selection.BackendGone : port.BackendGone;

    /// <summary>Ids of the backends, without those there was no room for.</summary>
    private List<uint> Ids(IReadOnlyList<BackendKey> backends, HashSet<uint> serving)
    {
        var ids = new List<uint>(backends.Count);
        foreach (BackendKey backend in backends)
        {
            if (_backends.TryGetId(backend, out uint id) && serving.Contains(id))
            {
                ids.Add(id);
            }
        }

        return ids;
    }

    /// <summary>Writes the slots, then the head with their count, then removes slots beyond it.</summary>
    /// <remarks>
    /// A slot whose backend is to go takes a new backend, else the backend of the last slot, which is listed twice until the head
    /// is written. So at every moment slots 1 to count exist; who read the old count may miss a slot beyond the new one, and reads
    /// the head again.
    /// </remarks>
    /// <returns>False if there was no room to keep the frontend consistent.</returns>
    private bool TryWriteScope(FrontendKey key, LookupScope scope, ServiceEntry head, List<uint> backends)
    {
        uint oldCount = CountOf(key, scope, out ServiceFlags oldFlags);
        bool hasAffinity = head.Flags.HasFlag(ServiceFlags.Affinity);
        bool hadAffinity = oldFlags.HasFlag(ServiceFlags.Affinity);
        if (hasAffinity || hadAffinity)
        {
            // Before a flow can choose it. Whom there is no room for is not chosen: its clients would not stay.
            backends.RemoveAll(backend => !_writer.Put(_maps.Eligible, new EligibleKey(head.RevNatId, scope, backend), (byte)0));
        }

        head.Count = oldCount;
        if (oldCount == backends.Count && HasSlots(key, scope, head, backends) && (hasAffinity || !hadAffinity))
        {
            return _writer.Put(_maps.Services, HeadKey(key, scope), head); // of nearly all that a resync compares nothing else is looked at
        }

        var missing = new HashSet<uint>(backends);
        List<uint> holes = FindHoles(key, scope, head, oldCount, missing, out HashSet<uint> leaving, out bool isWritten);
        if (!isWritten)
        {
            return false;
        }

        uint count = oldCount;
        int filled = 0;
        IEnumerable<uint> unplaced = [];
        for (int i = 0; i < backends.Count; i++)
        {
            uint backend = backends[i];
            if (!missing.Contains(backend))
            {
                continue;
            }

            bool inHole = filled < holes.Count;
            uint slot = inHole ? holes[filled++] : count + 1;
            if (TryWriteSlot(key, scope, slot, backend, head))
            {
                _newlyEligible.Add(new ServingKey(head.ServicePortId, backend));
                count = Math.Max(count, slot);
            }
            else if (inHole)
            {
                return false;
            }
            else
            {
                unplaced = backends[i..].Where(missing.Contains); // served by as many as fit; the map is reported as full
                break;
            }
        }

        if (!TryCloseHoles(key, scope, head, holes[filled..], ref count))
        {
            return false;
        }

        head.Count = count;
        if (!_writer.Put(_maps.Services, HeadKey(key, scope), head))
        {
            RemoveSlots(key, scope, 1, count);
            return false;
        }

        RemoveSlots(key, scope, count + 1, oldCount);
        if (hasAffinity || hadAffinity)
        {
            RemoveEligible(head.RevNatId, scope, hasAffinity ? leaving.Concat(unplaced) : leaving.Concat(backends));
        }

        return true;
    }

    /// <summary>True if the slots are these backends', one after the other, and say what the head says.</summary>
    private bool HasSlots(FrontendKey key, LookupScope scope, ServiceEntry head, List<uint> backends)
    {
        for (int i = 0; i < backends.Count; i++)
        {
            if (!_maps.Services.TryLookup(SlotKey(key, scope, (uint)i + 1), out ServiceEntry entry) || !entry.Equals(SlotOf(backends[i], head)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Slots whose backend is not wanted any more, in order; takes the backends that have their slot out of <paramref name="missing"/>.</summary>
    private List<uint> FindHoles(
        FrontendKey key, LookupScope scope, ServiceEntry head, uint count, HashSet<uint> missing,
        out HashSet<uint> leaving, out bool isWritten)
    {
        var holes = new List<uint>();
        leaving = [];
        isWritten = true;
        for (uint slot = 1; slot <= count; slot++)
        {
            bool exists = _maps.Services.TryLookup(SlotKey(key, scope, slot), out ServiceEntry entry);
            if (exists && missing.Remove(entry.BackendId))
            {
                isWritten &= TryWriteSlot(key, scope, slot, entry.BackendId, head); // its ids may have changed
                continue;
            }

            holes.Add(slot);
            if (exists)
            {
                leaving.Add(entry.BackendId);
            }
        }

        return holes;
    }

    /// <summary>Moves the last slots into the holes that are left: two slots are touched for each backend that goes.</summary>
    private bool TryCloseHoles(FrontendKey key, LookupScope scope, ServiceEntry head, List<uint> holes, ref uint count)
    {
        int first = 0;
        int last = holes.Count - 1;
        for (; first <= last; count--)
        {
            if (holes[last] == count)
            {
                last--;
                continue;
            }

            if (!_maps.Services.TryLookup(SlotKey(key, scope, count), out ServiceEntry entry)
                || !TryWriteSlot(key, scope, holes[first], entry.BackendId, head))
            {
                return false;
            }

            first++;
        }

        return true;
    }

    private bool TryWriteSlot(FrontendKey key, LookupScope scope, uint slot, uint backend, ServiceEntry head) =>
        _writer.Put(_maps.Services, SlotKey(key, scope, slot), SlotOf(backend, head));

    private static ServiceEntry SlotOf(uint backend, ServiceEntry head) => new()
    {
        BackendId = backend,
        RevNatId = head.RevNatId,
        ServicePortId = head.ServicePortId,
    };

    /// <summary>Marks an address.</summary>
    /// <param name="mark">The address.</param>
    /// <param name="filteredBy">The service port whose sources alone are let in, if the mark says so; without one nobody is.</param>
    private void WriteMark(AddressMark mark, ServicePortLedger? filteredBy)
    {
        var entry = new ServiceEntry { Flags = ServiceFlags.ActiveAddress | mark.Kind, ServicePortId = filteredBy?.Id ?? 0 };
        if (_writer.Put(_maps.Services, HeadKey(mark.Key, LookupScope.External), entry))
        {
            ExternalFrontends = IsExternal(entry) ? ExternalFrontends.Add(mark.Key) : ExternalFrontends.Remove(mark.Key);
        }
    }

    private void RemoveFrontends(IEnumerable<FrontendKey> gone, ServiceLedger before, ServiceImage image)
    {
        foreach (FrontendKey key in gone)
        {
            // The head says whose slots these are: who took the frontend over may have written it already, or not yet.
            bool isThere = _maps.Services.TryLookup(HeadKey(key, LookupScope.External), out ServiceEntry head);
            if (!isThere || Array.Exists(before.Ports, p => p.Id == head.ServicePortId))
            {
                RemoveFrontend(key);
            }
        }

        foreach (FrontendKey mark in before.Claims.Where(k => k.IsAddressMark && image.AddressMarks.All(m => m.Key != k)))
        {
            if (!_claims.IsOwned(mark) || _claims.IsOwner(mark, image.Service))
            {
                ExternalFrontends = ExternalFrontends.Remove(mark);
                _writer.Remove(_maps.Services, HeadKey(mark, LookupScope.External));
            }
        }
    }

    private void RemoveFrontend(FrontendKey key)
    {
        ExternalFrontends = ExternalFrontends.Remove(key);
        foreach (LookupScope scope in AllScopes)
        {
            RemoveScope(key, scope);
        }

        if (_frontendIds.TryGet(key, out uint id))
        {
            _writer.Remove(_maps.ReverseNat, id);
            _frontendIds.Release(key);
        }
    }

    /// <summary>Removes what <see cref="TryWriteFrontend"/> has written so far, where no head tells of it, too.</summary>
    private void RemoveUnwritten(FrontendImage frontend, HashSet<uint> serving)
    {
        uint id = _frontendIds.Get(frontend.Key);
        RemoveFrontend(frontend.Key);
        foreach ((LookupScope scope, IReadOnlyList<BackendKey> slots) in frontend.AffinitySeconds > 0 ? frontend.Scopes() : [])
        {
            RemoveEligible(id, scope, Ids(slots, serving));
        }
    }

    /// <summary>The head first: nobody looks for slots without it.</summary>
    private void RemoveScope(FrontendKey key, LookupScope scope)
    {
        if (!_maps.Services.TryLookup(HeadKey(key, scope), out ServiceEntry head))
        {
            return;
        }

        uint count = CountOf(key, scope, out ServiceFlags flags);
        var leaving = new List<uint>();
        for (uint slot = 1; flags.HasFlag(ServiceFlags.Affinity) && slot <= count; slot++)
        {
            if (_maps.Services.TryLookup(SlotKey(key, scope, slot), out ServiceEntry entry))
            {
                leaving.Add(entry.BackendId);
            }
        }

        _writer.Remove(_maps.Services, HeadKey(key, scope));
        RemoveSlots(key, scope, 1, count);
        RemoveEligible(head.RevNatId, scope, leaving);
    }

    private void RemoveSlots(FrontendKey key, LookupScope scope, uint first, uint last)
    {
        for (uint slot = last; slot >= first; slot--)
        {
            _writer.Remove(_maps.Services, SlotKey(key, scope, slot));
        }
    }

    private void RemoveEligible(uint frontendId, LookupScope scope, IEnumerable<uint> backends)
    {
        foreach (uint backend in backends)
        {
            _writer.Remove(_maps.Eligible, new EligibleKey(frontendId, scope, backend));
        }
    }

    /// <summary>Slots that the head counts, bounded in case it is damaged; 0 without a head.</summary>
    private uint CountOf(FrontendKey key, LookupScope scope, out ServiceFlags flags)
    {
        bool exists = _maps.Services.TryLookup(HeadKey(key, scope), out ServiceEntry head);
        flags = exists ? head.Flags : ServiceFlags.None;
        return exists ? (uint)Math.Min(head.Count, _maps.Services.Capacity) : 0;
    }

    private static ServiceKey SlotKey(FrontendKey key, LookupScope scope, uint slot) => new(key.Address, key.Port, key.Protocol, scope, slot);
}
