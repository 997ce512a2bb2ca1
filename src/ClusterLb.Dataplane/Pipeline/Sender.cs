using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Where the sender of a packet is, as far as the rules of masquerading and of scopes care (semantics R20, R22).</summary>
/// <param name="IsPod">On whatever node.</param>
/// <param name="IsThisNode">One of its addresses.</param>
/// <param name="IsForged">An address of a service range: nobody has one, and an answer would leave by the default route.</param>
/// <param name="IsBridged">A pod whose neighbours on its bridge would answer past us.</param>
public readonly record struct Sender(bool IsPod, bool IsThisNode, bool IsForged, bool IsBridged)
{
    /// <summary>A pod of any node, or this node itself.</summary>
    public bool IsInsideCluster => IsPod || IsThisNode;

    /// <summary>Classifies a source address. Without a detector of local traffic nobody is known to be a pod.</summary>
    public static Sender Of(LbMaps maps, IpAddr source, NodeFlags node)
    {
        NetworkFlags flags = maps.Classify(source);
        return new Sender(
            (flags & NetworkFlags.PodRange) != NetworkFlags.None && (node & NodeFlags.NoLocalDetection) == NodeFlags.None,
            (flags & NetworkFlags.NodeAddress) != NetworkFlags.None || source.IsLoopback,
            (flags & NetworkFlags.ServiceRange) != NetworkFlags.None,
            (flags & NetworkFlags.BridgedPods) != NetworkFlags.None);
    }
}
