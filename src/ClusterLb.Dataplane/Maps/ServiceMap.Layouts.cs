using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of services4.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal struct ServiceKey4
{
    public Ipv4Bytes Address;
    public ushort PortNetworkOrder;
    public byte Protocol;
    public byte Scope;
    public uint Slot;
}

/// <summary>Key of services6.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 24)]
internal struct ServiceKey6
{
    public Ipv6Bytes Address;
    public ushort PortNetworkOrder;
    public byte Protocol;
    public byte Scope;
    public uint Slot;
}

internal abstract class ServiceLayout4 : IMapLayout<ServiceKey, ServiceEntry, ServiceKey4, ServiceEntry>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ServiceKey4 PackKey(in ServiceKey key) => new()
    {
        Address = new Ipv4Bytes(key.Address),
        PortNetworkOrder = NetworkOrder.Swap(key.Port),
        Protocol = (byte)key.Protocol,
        Scope = (byte)key.Scope,
        Slot = key.Slot,
    };

    public static ServiceKey UnpackKey(in ServiceKey4 key) => new(
        key.Address.ToAddress(), NetworkOrder.Swap(key.PortNetworkOrder), (IpProtocol)key.Protocol, (LookupScope)key.Scope, key.Slot);

    public static ServiceEntry PackEntry(in ServiceEntry entry) => entry;

    public static ServiceEntry UnpackEntry(in ServiceEntry value) => value;
}

internal abstract class ServiceLayout6 : IMapLayout<ServiceKey, ServiceEntry, ServiceKey6, ServiceEntry>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ServiceKey6 PackKey(in ServiceKey key) => new()
    {
        Address = new Ipv6Bytes(key.Address),
        PortNetworkOrder = NetworkOrder.Swap(key.Port),
        Protocol = (byte)key.Protocol,
        Scope = (byte)key.Scope,
        Slot = key.Slot,
    };

    public static ServiceKey UnpackKey(in ServiceKey6 key) => new(
        key.Address.ToAddress(), NetworkOrder.Swap(key.PortNetworkOrder), (IpProtocol)key.Protocol, (LookupScope)key.Scope, key.Slot);

    public static ServiceEntry PackEntry(in ServiceEntry entry) => entry;

    public static ServiceEntry UnpackEntry(in ServiceEntry value) => value;
}
