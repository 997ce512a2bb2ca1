using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The hash by which a flow chooses its backend: the same on every node of a cluster that shares the seed.</summary>
internal static class FlowHash
{
    /// <summary>Hashes what the algorithm looks at.</summary>
    /// <param name="algorithm">Maglev: the whole tuple. Source hash: the client's address. Destination hash: what it dials.</param>
    /// <param name="tuple">Client to frontend.</param>
    /// <param name="isSticky">With session affinity the source port does not count: every connection of a client is alike.</param>
    /// <param name="seed">Of the cluster.</param>
    public static ulong Of(SelectionAlgorithm algorithm, FlowTuple tuple, bool isSticky, MaglevSeed seed)
    {
        // What does not count takes a value that does.
        FlowTuple counts = algorithm switch
        {
            SelectionAlgorithm.SourceHash => new FlowTuple(tuple.Source, tuple.Source, 0, 0, IpProtocol.Any),
            SelectionAlgorithm.DestinationHash => new FlowTuple(tuple.Destination, tuple.Destination, 0, tuple.DestinationPort, tuple.Protocol),
            _ when isSticky => tuple with { SourcePort = 0 },
            _ => tuple,
        };
        ulong seed0 = seed.Low ^ ((ulong)counts.Protocol << 56);
        ulong seed1 = seed.High ^ 0xD6E8_FEB8_6659_FD93; // four bytes are few for a factor
        return counts.IsIpv4
            ? SeededHash.Of(FlowKey4.From(counts), seed0, seed1)
            : SeededHash.Of(FlowKey6.From(counts), seed0, seed1);
    }
}
