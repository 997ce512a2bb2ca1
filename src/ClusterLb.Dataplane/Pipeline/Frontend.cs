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

    /// <summary>Only the sources of the source range map may use it.</summary>
    public bool IsFiltered => (Entry.Flags & ServiceFlags.SourceRange) != ServiceFlags.None;

    /// <summary>Finds the frontend of a destination. With two scopes, pods and this node use the internal one (semantics R20).
    /// <paramref name="destination"/> is what the destination is if it is no frontend by its own address, else nothing.</summary>
    public static bool TryFind(
        LbMaps maps, in FlowTuple tuple, NodeFlags node, out Frontend frontend, out NetworkFlags destination)
    {
        if (!TryLookup(maps, tuple, node, out ServiceKey key, out ServiceEntry entry, out destination))
        {
            frontend = default;
            return false;
        }

        if ((entry.Flags & ServiceFlags.TwoScopes) != ServiceFlags.None && Sender.Of(maps, tuple.Source, node).IsInsideCluster)
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

    /// <summary>True if the destination is a frontend of anybody.</summary>
    public static bool Exists(LbMaps maps, in FlowTuple tuple, NodeFlags node) => TryLookup(maps, tuple, node, out _, out _, out _);

    /// <summary>By the destination's own address; else, if node ports answer on it, where they stand once for all such addresses.</summary>
    private static bool TryLookup(
        LbMaps maps, in FlowTuple tuple, NodeFlags node, out ServiceKey key, out ServiceEntry entry, out NetworkFlags destination)
    {
        destination = NetworkFlags.None;
        key = new ServiceKey(tuple.Destination, tuple.DestinationPort, tuple.Protocol, LookupScope.External, 0);
        if (maps.Services.TryLookup(key, out entry))
        {
            return (entry.Flags & ServiceFlags.NodePort) == ServiceFlags.None; // else somebody really dials the address of zeros
        }

        destination = maps.Classify(tuple.Destination);
        if ((destination & NetworkFlags.NodePortAddress) == NetworkFlags.None && !IsNodePortLoopback(tuple.Destination, node))
        {
            return false;
        }

        key = key with { Address = IpAddr.Unspecified(tuple.IsIpv4) };
        return maps.Services.TryLookup(key, out entry) && (entry.Flags & ServiceFlags.NodePort) != ServiceFlags.None;
    }

    /// <summary>127.0.0.0/8 if that is on; ::1 never (semantics R30).</summary>
    private static bool IsNodePortLoopback(IpAddr address, NodeFlags node) =>
        address.IsIpv4 && address.IsLoopback && (node & NodeFlags.LocalhostNodePorts) != NodeFlags.None;
}
