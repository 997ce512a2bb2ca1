using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Value of node. Addresses of zeros: the node has none of that family.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4, Size = 56)]
internal struct NodeValue
{
    public Ipv4Bytes PrimaryIpv4;
    public Ipv6Bytes PrimaryIpv6;
    public uint Flags;
    public uint TcpSynTimeoutSeconds;
    public uint TcpEstablishedTimeoutSeconds;
    public uint TcpClosingTimeoutSeconds;
    public uint UdpTimeoutSeconds;
    public uint UdpStreamTimeoutSeconds;
    public uint GenericTimeoutSeconds;
    public ushort SnatFirst;
    public ushort SnatLast;
    public ushort SnatSecondFirst;
    public ushort SnatSecondLast;
}

internal readonly struct NodeLayout : IMapLayout<uint, NodeEntry, uint, NodeValue>
{
    public static uint PackKey(in uint key) => key;

    public static uint UnpackKey(in uint key) => key;

    public static NodeValue PackEntry(in NodeEntry entry) => new()
    {
        PrimaryIpv4 = entry.PrimaryIpv4.IsIpv4 ? new Ipv4Bytes(entry.PrimaryIpv4) : default,
        PrimaryIpv6 = new Ipv6Bytes(entry.PrimaryIpv6),
        Flags = (uint)entry.Flags,
        TcpSynTimeoutSeconds = entry.TcpSynTimeoutSeconds,
        TcpEstablishedTimeoutSeconds = entry.TcpEstablishedTimeoutSeconds,
        TcpClosingTimeoutSeconds = entry.TcpClosingTimeoutSeconds,
        UdpTimeoutSeconds = entry.UdpTimeoutSeconds,
        UdpStreamTimeoutSeconds = entry.UdpStreamTimeoutSeconds,
        GenericTimeoutSeconds = entry.GenericTimeoutSeconds,
        SnatFirst = entry.SnatPorts.First,
        SnatLast = entry.SnatPorts.Last,
        SnatSecondFirst = entry.SnatPorts.SecondFirst,
        SnatSecondLast = entry.SnatPorts.SecondLast,
    };

    public static NodeEntry UnpackEntry(in NodeValue value) => new()
    {
        PrimaryIpv4 = value.PrimaryIpv4.IsZero ? default : value.PrimaryIpv4.ToAddress(),
        PrimaryIpv6 = value.PrimaryIpv6.ToAddress(),
        Flags = (NodeFlags)value.Flags,
        TcpSynTimeoutSeconds = value.TcpSynTimeoutSeconds,
        TcpEstablishedTimeoutSeconds = value.TcpEstablishedTimeoutSeconds,
        TcpClosingTimeoutSeconds = value.TcpClosingTimeoutSeconds,
        UdpTimeoutSeconds = value.UdpTimeoutSeconds,
        UdpStreamTimeoutSeconds = value.UdpStreamTimeoutSeconds,
        GenericTimeoutSeconds = value.GenericTimeoutSeconds,
        SnatPorts = new SnatPortRanges(value.SnatFirst, value.SnatLast, value.SnatSecondFirst, value.SnatSecondLast),
    };
}
