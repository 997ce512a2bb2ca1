using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Value of backends4 and reverse_nat4: where packets go, or came to.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
internal struct TransportAddress4
{
    public Ipv4Bytes Address;
    public ushort PortNetworkOrder;
    public byte Protocol;
    public byte State; // of a backend; 0 in reverse_nat4
}

/// <summary>Value of backends6 and reverse_nat6.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 20)]
internal struct TransportAddress6
{
    public Ipv6Bytes Address;
    public ushort PortNetworkOrder;
    public byte Protocol;
    public byte State; // of a backend; 0 in reverse_nat6
}

internal readonly struct TransportLayout4<TEntry> : IMapLayout<uint, TEntry, uint, TransportAddress4>
    where TEntry : struct, ITransportEntry<TEntry>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress4 PackEntry(in TEntry entry) => new()
    {
        Address = new Ipv4Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
        State = entry.StateByte,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TEntry UnpackEntry(in TransportAddress4 value) => TEntry.Of(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol, value.State);
}

internal readonly struct TransportLayout6<TEntry> : IMapLayout<uint, TEntry, uint, TransportAddress6>
    where TEntry : struct, ITransportEntry<TEntry>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress6 PackEntry(in TEntry entry) => new()
    {
        Address = new Ipv6Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
        State = entry.StateByte,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TEntry UnpackEntry(in TransportAddress6 value) => TEntry.Of(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol, value.State);
}
