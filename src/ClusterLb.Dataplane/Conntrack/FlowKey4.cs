using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Addresses and ports of an IPv4 packet: 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal struct FlowKey4 : IFlowKey<FlowKey4>
{
    public uint Source;
    public uint Destination;
    public ushort SourcePort;
    public ushort DestinationPort;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FlowKey4 From(in FlowTuple tuple) => new()
    {
        Source = NetworkOrder.Swap(tuple.Source.Ipv4),
        Destination = NetworkOrder.Swap(tuple.Destination.Ipv4),
        SourcePort = NetworkOrder.Swap(tuple.SourcePort),
        DestinationPort = NetworkOrder.Swap(tuple.DestinationPort),
    };

    public readonly FlowTuple ToTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv4(NetworkOrder.Swap(Source)),
        IpAddr.FromIpv4(NetworkOrder.Swap(Destination)),
        NetworkOrder.Swap(SourcePort),
        NetworkOrder.Swap(DestinationPort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly FlowTuple ToReverseTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv4(NetworkOrder.Swap(Destination)),
        IpAddr.FromIpv4(NetworkOrder.Swap(Source)),
        NetworkOrder.Swap(DestinationPort),
        NetworkOrder.Swap(SourcePort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Matches(in FlowKey4 other) =>
        Source == other.Source && Destination == other.Destination
        && SourcePort == other.SourcePort && DestinationPort == other.DestinationPort;
}
