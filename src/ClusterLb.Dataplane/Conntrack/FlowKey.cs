using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
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
        Source = NetworkOrder.Of(tuple.Source.Ipv4),
        Destination = NetworkOrder.Of(tuple.Destination.Ipv4),
        SourcePort = NetworkOrder.Of(tuple.SourcePort),
        DestinationPort = NetworkOrder.Of(tuple.DestinationPort),
    };

    public readonly FlowTuple ToTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv4(NetworkOrder.Of(Source)),
        IpAddr.FromIpv4(NetworkOrder.Of(Destination)),
        NetworkOrder.Of(SourcePort),
        NetworkOrder.Of(DestinationPort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly FlowTuple ToReverseTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv4(NetworkOrder.Of(Destination)),
        IpAddr.FromIpv4(NetworkOrder.Of(Source)),
        NetworkOrder.Of(DestinationPort),
        NetworkOrder.Of(SourcePort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Matches(in FlowKey4 other) =>
        Source == other.Source && Destination == other.Destination
        && SourcePort == other.SourcePort && DestinationPort == other.DestinationPort;
}

/// <summary>Addresses and ports of an IPv6 packet: 36 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 36)]
internal struct FlowKey6 : IFlowKey<FlowKey6>
{
    public ulong SourceHigh;
    public ulong SourceLow;
    public ulong DestinationHigh;
    public ulong DestinationLow;
    public ushort SourcePort;
    public ushort DestinationPort;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FlowKey6 From(in FlowTuple tuple) => new()
    {
        SourceHigh = NetworkOrder.Of(tuple.Source.High),
        SourceLow = NetworkOrder.Of(tuple.Source.Low),
        DestinationHigh = NetworkOrder.Of(tuple.Destination.High),
        DestinationLow = NetworkOrder.Of(tuple.Destination.Low),
        SourcePort = NetworkOrder.Of(tuple.SourcePort),
        DestinationPort = NetworkOrder.Of(tuple.DestinationPort),
    };

    public readonly FlowTuple ToTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv6(NetworkOrder.Of(SourceHigh), NetworkOrder.Of(SourceLow)),
        IpAddr.FromIpv6(NetworkOrder.Of(DestinationHigh), NetworkOrder.Of(DestinationLow)),
        NetworkOrder.Of(SourcePort),
        NetworkOrder.Of(DestinationPort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly FlowTuple ToReverseTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv6(NetworkOrder.Of(DestinationHigh), NetworkOrder.Of(DestinationLow)),
        IpAddr.FromIpv6(NetworkOrder.Of(SourceHigh), NetworkOrder.Of(SourceLow)),
        NetworkOrder.Of(DestinationPort),
        NetworkOrder.Of(SourcePort),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Matches(in FlowKey6 other) =>
        SourceLow == other.SourceLow && SourceHigh == other.SourceHigh
        && DestinationLow == other.DestinationLow && DestinationHigh == other.DestinationHigh
        && SourcePort == other.SourcePort && DestinationPort == other.DestinationPort;
}

/// <summary>Host order to network order and back.</summary>
internal static class NetworkOrder
{
    public static ushort Of(ushort value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    public static uint Of(uint value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    public static ulong Of(ulong value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}
