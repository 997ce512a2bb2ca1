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

internal abstract class BackendLayout4 : IMapLayout<uint, BackendEntry, uint, TransportAddress4>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress4 PackEntry(in BackendEntry entry) => new()
    {
        Address = new Ipv4Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
        State = (byte)entry.State,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BackendEntry UnpackEntry(in TransportAddress4 value) => new(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol, (BackendState)value.State);
}

internal abstract class BackendLayout6 : IMapLayout<uint, BackendEntry, uint, TransportAddress6>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress6 PackEntry(in BackendEntry entry) => new()
    {
        Address = new Ipv6Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
        State = (byte)entry.State,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BackendEntry UnpackEntry(in TransportAddress6 value) => new(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol, (BackendState)value.State);
}

internal abstract class ReverseNatLayout4 : IMapLayout<uint, ReverseNatEntry, uint, TransportAddress4>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress4 PackEntry(in ReverseNatEntry entry) => new()
    {
        Address = new Ipv4Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ReverseNatEntry UnpackEntry(in TransportAddress4 value) => new(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol);
}

internal abstract class ReverseNatLayout6 : IMapLayout<uint, ReverseNatEntry, uint, TransportAddress6>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static TransportAddress6 PackEntry(in ReverseNatEntry entry) => new()
    {
        Address = new Ipv6Bytes(entry.Address),
        PortNetworkOrder = NetworkOrder.Swap(entry.Port),
        Protocol = (byte)entry.Protocol,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ReverseNatEntry UnpackEntry(in TransportAddress6 value) => new(
        value.Address.ToAddress(), NetworkOrder.Swap(value.PortNetworkOrder), (IpProtocol)value.Protocol);
}
