using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A tuple without its protocol as it lies in the file: addresses and ports in network byte order.</summary>
internal interface IFlowKey<TSelf>
    where TSelf : unmanaged, IFlowKey<TSelf>
{
    static abstract TSelf From(in FlowTuple tuple);

    FlowTuple ToTuple(IpProtocol protocol);

    /// <summary>Source and destination exchanged.</summary>
    FlowTuple ToReverseTuple(IpProtocol protocol);

    bool Matches(in TSelf other);
}
