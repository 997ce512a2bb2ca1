using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Addresses and ports of an IPv4 packet, each in network order, the source first: 12 bytes.</summary>
/// <remarks>Words, not fields: a key is written and then hashed, and the processor cannot forward two narrow stores to one wide
/// load.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal readonly struct FlowKey4 : IFlowKey<FlowKey4>
{
    private const byte PlainVersionAndLength = 0x45; // a header without options

    private readonly ulong _addresses;
    private readonly uint _ports;

    private FlowKey4(ulong addresses, uint ports)
    {
        _addresses = addresses;
        _ports = ports;
    }

    private IpAddr Source
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => IpAddr.FromIpv4(NetworkOrder.Swap((uint)_addresses));
    }

    private IpAddr Destination
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => IpAddr.FromIpv4(NetworkOrder.Swap((uint)(_addresses >> 32)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FlowKey4 From(in FlowTuple tuple) => new(
        NetworkOrder.Swap(tuple.Source.Ipv4) | ((ulong)NetworkOrder.Swap(tuple.Destination.Ipv4) << 32),
        FlowPorts.From(tuple));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryGlance(ReadOnlySpan<byte> packet, out FlowKey4 key, out IpProtocol protocol)
    {
        if (packet.Length < Ipv4Header.SourceOffset + Unsafe.SizeOf<FlowKey4>() || packet[0] != PlainVersionAndLength)
        {
            (key, protocol) = (default, IpProtocol.Any);
            return false;
        }

        key = MemoryMarshal.Read<FlowKey4>(packet[Ipv4Header.SourceOffset..]);
        protocol = (IpProtocol)packet[Ipv4Header.ProtocolOffset];
        return true;
    }

    public FlowTuple ToTuple(IpProtocol protocol) =>
        new(Source, Destination, FlowPorts.Source(_ports), FlowPorts.Destination(_ports), protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public FlowTuple ToReverseTuple(IpProtocol protocol) =>
        new(Destination, Source, FlowPorts.Destination(_ports), FlowPorts.Source(_ports), protocol);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Matches(in FlowKey4 other) => _addresses == other._addresses && _ports == other._ports;
}
