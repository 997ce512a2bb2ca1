using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Addresses and ports of an IPv6 packet, each in network order: 36 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 36)]
internal struct FlowKey6 : IFlowKey<FlowKey6>
{
    public ulong SourceHigh;
    public ulong SourceLow;
    public ulong DestinationHigh;
    public ulong DestinationLow;
    public uint Ports;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FlowKey6 From(in FlowTuple tuple) => new()
    {
        SourceHigh = NetworkOrder.Swap(tuple.Source.High),
        SourceLow = NetworkOrder.Swap(tuple.Source.Low),
        DestinationHigh = NetworkOrder.Swap(tuple.Destination.High),
        DestinationLow = NetworkOrder.Swap(tuple.Destination.Low),
        Ports = FlowPorts.From(tuple),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGlance(ReadOnlySpan<byte> packet, out FlowKey6 key, out IpProtocol protocol)
    {
        if (packet.Length < Ipv6Header.SourceOffset + Unsafe.SizeOf<FlowKey6>() || packet[0] >> 4 != 6)
        {
            (key, protocol) = (default, IpProtocol.Any);
            return false;
        }

        key = MemoryMarshal.Read<FlowKey6>(packet[Ipv6Header.SourceOffset..]);
        protocol = (IpProtocol)packet[Ipv6Header.NextHeaderOffset];
        return true;
    }

    public readonly FlowTuple ToTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv6(NetworkOrder.Swap(SourceHigh), NetworkOrder.Swap(SourceLow)),
        IpAddr.FromIpv6(NetworkOrder.Swap(DestinationHigh), NetworkOrder.Swap(DestinationLow)),
        FlowPorts.Source(Ports),
        FlowPorts.Destination(Ports),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly FlowTuple ToReverseTuple(IpProtocol protocol) => new(
        IpAddr.FromIpv6(NetworkOrder.Swap(DestinationHigh), NetworkOrder.Swap(DestinationLow)),
        IpAddr.FromIpv6(NetworkOrder.Swap(SourceHigh), NetworkOrder.Swap(SourceLow)),
        FlowPorts.Destination(Ports),
        FlowPorts.Source(Ports),
        protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Matches(in FlowKey6 other) =>
        SourceLow == other.SourceLow && SourceHigh == other.SourceHigh
        && DestinationLow == other.DestinationLow && DestinationHigh == other.DestinationHigh
        && Ports == other.Ports;
}
