using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of services4: address, port (both in network order), protocol and scope in one word, then the slot.</summary>
/// <remarks>Words, not fields: a key is written and then hashed, and the processor cannot forward four narrow stores to one wide
/// load.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 12)]
internal readonly struct ServiceKey4(in ServiceKey key)
{
    private readonly ulong _frontend =
        NetworkOrder.Swap(key.Address.Ipv4) | ((ulong)ServiceKeyWords.PortProtocolScope(key) << 32);

    private readonly uint _slot = key.Slot;

    public ServiceKey ToKey() =>
        ServiceKeyWords.ToKey(IpAddr.FromIpv4(NetworkOrder.Swap((uint)_frontend)), (uint)(_frontend >> 32), _slot);
}

/// <summary>Key of services6: the address, then a word with port (both in network order), protocol, scope and slot.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 24)]
internal readonly struct ServiceKey6(in ServiceKey key)
{
    private readonly Ipv6Bytes _address = new(key.Address);
    private readonly ulong _rest = ServiceKeyWords.PortProtocolScope(key) | ((ulong)key.Slot << 32);

    public ServiceKey ToKey() => ServiceKeyWords.ToKey(_address.ToAddress(), (uint)_rest, (uint)(_rest >> 32));
}

/// <summary>What the keys of both families have in common.</summary>
file static class ServiceKeyWords
{
    /// <summary>Bytes 0 and 1 the port in network order, byte 2 the protocol, byte 3 the scope.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint PortProtocolScope(in ServiceKey key) =>
        NetworkOrder.Swap(key.Port) | ((uint)key.Protocol << 16) | ((uint)key.Scope << 24);

    public static ServiceKey ToKey(IpAddr address, uint portProtocolScope, uint slot) => new(
        address,
        NetworkOrder.Swap((ushort)portProtocolScope),
        (IpProtocol)(byte)(portProtocolScope >> 16),
        (LookupScope)(byte)(portProtocolScope >> 24),
        slot);
}

internal readonly struct ServiceLayout4 : IMapLayout<ServiceKey, ServiceEntry, ServiceKey4, ServiceEntry>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ServiceKey4 PackKey(in ServiceKey key) => new(key);

    public static ServiceKey UnpackKey(in ServiceKey4 key) => key.ToKey();

    public static ServiceEntry PackEntry(in ServiceEntry entry) => entry;

    public static ServiceEntry UnpackEntry(in ServiceEntry value) => value;
}

internal readonly struct ServiceLayout6 : IMapLayout<ServiceKey, ServiceEntry, ServiceKey6, ServiceEntry>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ServiceKey6 PackKey(in ServiceKey key) => new(key);

    public static ServiceKey UnpackKey(in ServiceKey6 key) => key.ToKey();

    public static ServiceEntry PackEntry(in ServiceEntry entry) => entry;

    public static ServiceEntry UnpackEntry(in ServiceEntry value) => value;
}
