using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The frontend that a packet is for, as its sender may use it.</summary>
internal readonly struct Frontend
{
    private const ServiceFlags External = ServiceFlags.ExternalIp | ServiceFlags.NodePort | ServiceFlags.LoadBalancer;

    private Frontend(ServiceKey key, in ServiceEntry entry)
    {
        Key = key;
        Entry = entry;
    }

    /// <summary>Key of slot 0, in the scope that the sender uses.</summary>
    public ServiceKey Key { get; }

    /// <summary>Slot 0.</summary>
    public ServiceEntry Entry { get; }

    /// <summary>Not a ClusterIP.</summary>
    public bool IsExternal => (Entry.Flags & External) != ServiceFlags.None;

    /// <summary>externalTrafficPolicy Local.</summary>
    public bool IsExternalLocal => (Entry.Flags & ServiceFlags.ExternalLocalScope) != ServiceFlags.None;

    /// <summary>Finds the frontend of a destination. With two scopes, pods and this node use the internal one (semantics R20).</summary>
    public static bool TryFind(LbMaps maps, in FlowTuple tuple, in Sender sender, out Frontend frontend)
    {
        var key = new ServiceKey(tuple.Destination, tuple.DestinationPort, tuple.Protocol, LookupScope.External, 0);
        if (!maps.Services.TryLookup(key, out ServiceEntry entry))
        {
            frontend = default;
            return false;
        }

        if ((entry.Flags & ServiceFlags.TwoScopes) != ServiceFlags.None && sender.IsInsideCluster)
        {
            ServiceKey inside = key with { Scope = LookupScope.Internal };
            if (maps.Services.TryLookup(inside, out ServiceEntry insideEntry))
            {
                (key, entry) = (inside, insideEntry);
            }
        }

        frontend = new Frontend(key, entry);
        return true;
    }
}
