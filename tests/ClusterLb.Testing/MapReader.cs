using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Testing;

/// <summary>A reader that looks at all frontends at one moment, as a packet could.</summary>
public static class MapReader
{
    /// <summary>What a packet would trip over: a slot, a backend, a reverse NAT entry or a service port that is not there.</summary>
    public static IEnumerable<string> Faults(LbMaps maps)
    {
        var table = new uint[maps.Maglev.TableSize];
        foreach ((ServiceKey key, ServiceEntry head) in maps.Services.Entries())
        {
            if (key.Slot != 0 || head.Flags.HasFlag(ServiceFlags.ActiveAddress))
            {
                continue;
            }

            if (!maps.ReverseNat.TryLookup(head.RevNatId, out _))
            {
                yield return $"{key}: no reverse NAT entry";
            }

            if (!maps.ServicePorts.TryLookup(head.ServicePortId, out _))
            {
                yield return $"{key}: no service port";
            }

            if (head.Flags.HasFlag(ServiceFlags.TwoScopes) && key.Scope == LookupScope.External
                && !maps.Services.TryLookup(key with { Scope = LookupScope.Internal }, out _))
            {
                yield return $"{key}: no internal scope";
            }

            if (head.Flags.HasFlag(ServiceFlags.Split) && !key.Scope.IsCanary()
                && !maps.Services.TryLookup(key with { Scope = key.Scope.Canary() }, out _))
            {
                yield return $"{key}: no slots of the canary";
            }

            MaglevKey tableKey = MaglevKey.Of(head, key.Scope);
            bool hasTable = head.Algorithm.IsHash() && head.Count > 0 && maps.Maglev.TryRead(tableKey, table);
            foreach (uint id in hasTable ? table.Distinct().Where(id => !maps.Backends.TryLookup(id, out _)) : [])
            {
                yield return $"{key}: no backend {id} of {tableKey}";
            }

            for (uint slot = 1; slot <= head.Count; slot++)
            {
                if (!maps.Services.TryLookup(key with { Slot = slot }, out ServiceEntry entry))
                {
                    yield return $"{key}: no slot {slot} of {head.Count}";
                }
                else if (!maps.Backends.TryLookup(entry.BackendId, out BackendEntry backend))
                {
                    yield return $"{key}: no backend {entry.BackendId} of slot {slot}";
                }
                else if (backend.Protocol != key.Protocol || backend.Address.IsIpv4 != key.Address.IsIpv4)
                {
                    yield return $"{key}: backend {backend} is of another kind";
                }
                else if (!maps.Serving.TryLookup(new ServingKey(entry.ServicePortId, entry.BackendId), out _))
                {
                    yield return $"{key}: slot {slot} names a backend that does not serve";
                }
                else if (head.Flags.HasFlag(ServiceFlags.Affinity) && entry.RevNatId == head.RevNatId
                    && !maps.Eligible.TryLookup(new EligibleKey(head.RevNatId, key.Scope, entry.BackendId), out _))
                {
                    yield return $"{key}: slot {slot} names a backend that is not eligible";
                }
            }
        }
    }
}
