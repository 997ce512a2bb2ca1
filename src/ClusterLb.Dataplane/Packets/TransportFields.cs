using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>What the parser takes from a transport header, or why there is nothing to take. Eight bytes, so it travels in a register.</summary>
/// <param name="Reason">If not <see cref="DropReason.None"/>, the rest means nothing.</param>
/// <param name="SourcePort">For an echo, its identifier.</param>
/// <param name="DestinationPort">For an echo, its identifier.</param>
/// <param name="TcpFlags">For TCP.</param>
/// <param name="IcmpKind">For ICMP.</param>
internal readonly record struct TransportFields(
    DropReason Reason,
    ushort SourcePort = 0,
    ushort DestinationPort = 0,
    TcpFlags TcpFlags = TcpFlags.None,
    IcmpKind IcmpKind = IcmpKind.None)
{
    // What an ICMP error must quote of a transport header (RFC 792); enough for ports and for an echo's identifier.
    private const int MinQuoted = 8;

    /// <summary>Reads the header of a whole datagram or of its first fragment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TransportFields Read(ReadOnlySpan<byte> bytes, IpProtocol protocol, bool isIpv4, bool isFragment) => protocol switch
    {
        IpProtocol.Tcp => ReadTcp(bytes),
        IpProtocol.Udp => ReadUdp(bytes, isFragment),
        _ => ReadOther(bytes, protocol, isIpv4),
    };

    /// <summary>Reads what is there of a datagram that is not there from its first byte to its last.</summary>
    /// <param name="bytes">In a later fragment a piece of payload; else the beginning, as an ICMP error quotes it.</param>
    /// <param name="protocol">Of the datagram.</param>
    /// <param name="isIpv4">Its family.</param>
    /// <param name="isLaterFragment">It has no header to read.</param>
    public static TransportFields ReadPart(ReadOnlySpan<byte> bytes, IpProtocol protocol, bool isIpv4, bool isLaterFragment)
    {
        if (isLaterFragment)
        {
            return new(ReasonAgainstLaterFragment(protocol, isIpv4));
        }

        if (bytes.Length < MinQuoted)
        {
            return new(DropReason.Truncated);
        }

        return protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp
            ? new(DropReason.None, BinaryPrimitives.ReadUInt16BigEndian(bytes), BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]))
            : ReadOther(bytes, protocol, isIpv4);
    }

    private static DropReason ReasonAgainstLaterFragment(IpProtocol protocol, bool isIpv4) => protocol switch
    {
        IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp => DropReason.None,
        IpProtocol.Icmp when isIpv4 => DropReason.None,
        IpProtocol.IcmpV6 or IpProtocol.Any when !isIpv4 => DropReason.None,
        _ => DropReason.UnknownProtocol,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TransportFields ReadTcp(ReadOnlySpan<byte> bytes)
    {
        DropReason reason = TcpHeader.Parse(bytes, out TcpHeader tcp);
        return reason == DropReason.None
            ? new(DropReason.None, tcp.SourcePort, tcp.DestinationPort, tcp.Flags)
            : new(reason);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TransportFields ReadUdp(ReadOnlySpan<byte> bytes, bool isFragment)
    {
        DropReason reason = UdpHeader.Parse(bytes, isFragment, out UdpHeader udp);
        return reason == DropReason.None
            ? new(DropReason.None, udp.SourcePort, udp.DestinationPort)
            : new(reason);
    }

    private static TransportFields ReadOther(ReadOnlySpan<byte> bytes, IpProtocol protocol, bool isIpv4) => protocol switch
    {
        IpProtocol.Sctp => ReadSctp(bytes),
        IpProtocol.Icmp when isIpv4 => ReadIcmp(bytes, isIpv4),
        IpProtocol.IcmpV6 when !isIpv4 => ReadIcmp(bytes, isIpv4),
        _ => new(DropReason.UnknownProtocol),
    };

    private static TransportFields ReadSctp(ReadOnlySpan<byte> bytes)
    {
        DropReason reason = SctpHeader.Parse(bytes, out SctpHeader sctp);
        return reason == DropReason.None
            ? new(DropReason.None, sctp.SourcePort, sctp.DestinationPort)
            : new(reason);
    }

    private static TransportFields ReadIcmp(ReadOnlySpan<byte> bytes, bool isIpv4)
    {
        DropReason reason = IcmpHeader.Parse(bytes, isIpv4, out IcmpHeader icmp);
        if (reason != DropReason.None)
        {
            return new(reason);
        }

        bool isEcho = icmp.Kind is IcmpKind.EchoRequest or IcmpKind.EchoReply;
        ushort identifier = isEcho ? icmp.Identifier : (ushort)0;
        return new(DropReason.None, identifier, identifier, IcmpKind: icmp.Kind);
    }
}
