using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Numbers as they lie in packets and in maps: the first byte is the highest.</summary>
internal static class NetworkOrder
{
    /// <summary>Host order to network order and back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Swap(ushort value) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    /// <summary>Host order to network order and back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Swap(uint value) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    /// <summary>Host order to network order and back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Swap(ulong value) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}

/// <summary>An IPv4 address as it lies in a file.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 4)]
internal readonly struct Ipv4Bytes(IpAddr address)
{
    private readonly uint _networkOrder = NetworkOrder.Swap(address.Ipv4);

    public IpAddr ToAddress() => IpAddr.FromIpv4(NetworkOrder.Swap(_networkOrder));

    /// <summary>True for 0.0.0.0.</summary>
    public bool IsZero => _networkOrder == 0;
}

/// <summary>An IPv6 address as it lies in a file.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 16)]
internal readonly struct Ipv6Bytes(IpAddr address)
{
    private readonly ulong _highNetworkOrder = NetworkOrder.Swap(address.High);
    private readonly ulong _lowNetworkOrder = NetworkOrder.Swap(address.Low);

    public IpAddr ToAddress() => IpAddr.FromIpv6(NetworkOrder.Swap(_highNetworkOrder), NetworkOrder.Swap(_lowNetworkOrder));
}
