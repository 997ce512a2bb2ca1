using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A tuple without its protocol as it lies in the file: addresses and ports in network byte order.</summary>
internal interface IFlowKey<TSelf>
    where TSelf : unmanaged, IFlowKey<TSelf>
{
    static abstract TSelf From(in FlowTuple tuple);

    /// <summary>The key that the parser would find in a plain packet of this family, without the parser's checks. Addresses and ports
    /// lie side by side there, as in the key; behind options or an extension header, in fragments and in ICMP it is another.</summary>
    static abstract bool TryGlance(ReadOnlySpan<byte> packet, out TSelf key, out IpProtocol protocol);

    FlowTuple ToTuple(IpProtocol protocol);

    /// <summary>Source and destination exchanged.</summary>
    FlowTuple ToReverseTuple(IpProtocol protocol);

    bool Matches(in TSelf other);
}
