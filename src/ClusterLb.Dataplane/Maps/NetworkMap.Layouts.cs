using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Key of networks4: the prefix length, then the address in network order.</summary>
/// <remarks>One word, as <see cref="ServiceKey4"/> is made of words: it is written and then hashed.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 8)]
internal readonly struct NetworkKey4(in IpPrefix key)
{
    private readonly ulong _word = (uint)key.Length | ((ulong)NetworkOrder.Swap(key.Address.Ipv4) << 32);

    public IpPrefix ToPrefix() => new(IpAddr.FromIpv4(NetworkOrder.Swap((uint)(_word >> 32))), (int)Math.Min((uint)_word, 32));
}

/// <summary>Key of networks6: the prefix length, then the address in network order.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 20)]
internal readonly struct NetworkKey6
{
    private readonly ulong _lengthAndStart;
    private readonly ulong _middle;
    private readonly uint _end;

    public NetworkKey6(in IpPrefix key)
    {
        ulong high = NetworkOrder.Swap(key.Address.High);
        ulong low = NetworkOrder.Swap(key.Address.Low);
        _lengthAndStart = (uint)key.Length | (high << 32);
        _middle = (high >> 32) | (low << 32);
        _end = (uint)(low >> 32);
    }

    public IpPrefix ToPrefix()
    {
        ulong high = (_lengthAndStart >> 32) | (_middle << 32);
        ulong low = (_middle >> 32) | ((ulong)_end << 32);
        return new IpPrefix(
            IpAddr.FromIpv6(NetworkOrder.Swap(high), NetworkOrder.Swap(low)), (int)Math.Min((uint)_lengthAndStart, 128));
    }
}

internal readonly struct NetworkLayout4 : IMapLayout<IpPrefix, NetworkFlags, NetworkKey4, uint>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NetworkKey4 PackKey(in IpPrefix key) => new(key);

    public static IpPrefix UnpackKey(in NetworkKey4 key) => key.ToPrefix();

    public static uint PackEntry(in NetworkFlags entry) => (uint)entry;

    public static NetworkFlags UnpackEntry(in uint value) => (NetworkFlags)value;
}

internal readonly struct NetworkLayout6 : IMapLayout<IpPrefix, NetworkFlags, NetworkKey6, uint>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NetworkKey6 PackKey(in IpPrefix key) => new(key);

    public static IpPrefix UnpackKey(in NetworkKey6 key) => key.ToPrefix();

    public static uint PackEntry(in NetworkFlags entry) => (uint)entry;

    public static NetworkFlags UnpackEntry(in uint value) => (NetworkFlags)value;
}
