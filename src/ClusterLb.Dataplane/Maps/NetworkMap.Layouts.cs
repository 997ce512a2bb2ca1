using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of networks4.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
internal struct NetworkKey4
{
    public uint PrefixLength;
    public Ipv4Bytes Address;
}

/// <summary>Key of networks6.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 20)]
internal struct NetworkKey6
{
    public uint PrefixLength;
    public Ipv6Bytes Address;
}

internal readonly struct NetworkLayout4 : IMapLayout<IpPrefix, NetworkFlags, NetworkKey4, uint>
{
    public static NetworkKey4 PackKey(in IpPrefix key) => new() { PrefixLength = (uint)key.Length, Address = new Ipv4Bytes(key.Address) };

    public static IpPrefix UnpackKey(in NetworkKey4 key) => new(key.Address.ToAddress(), (int)Math.Min(key.PrefixLength, 32));

    public static uint PackEntry(in NetworkFlags entry) => (uint)entry;

    public static NetworkFlags UnpackEntry(in uint value) => (NetworkFlags)value;
}

internal readonly struct NetworkLayout6 : IMapLayout<IpPrefix, NetworkFlags, NetworkKey6, uint>
{
    public static NetworkKey6 PackKey(in IpPrefix key) => new() { PrefixLength = (uint)key.Length, Address = new Ipv6Bytes(key.Address) };

    public static IpPrefix UnpackKey(in NetworkKey6 key) => new(key.Address.ToAddress(), (int)Math.Min(key.PrefixLength, 128));

    public static uint PackEntry(in NetworkFlags entry) => (uint)entry;

    public static NetworkFlags UnpackEntry(in uint value) => (NetworkFlags)value;
}
