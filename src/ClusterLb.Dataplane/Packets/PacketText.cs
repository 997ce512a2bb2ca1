using System.Text;

namespace ClusterLb.Dataplane.Packets;

/// <summary>A packet as one line in the manner of tcpdump, for traces, tests and the lab. Never on the packet path: it allocates.</summary>
public static class PacketText
{
    private static readonly (TcpFlags Flag, char Letter)[] FlagLetters =
    [
        (TcpFlags.Fin, 'F'), (TcpFlags.Syn, 'S'), (TcpFlags.Rst, 'R'), (TcpFlags.Psh, 'P'), (TcpFlags.Ack, '.'),
        (TcpFlags.Urg, 'U'), (TcpFlags.Ece, 'E'), (TcpFlags.Cwr, 'W'),
    ];

    /// <summary>
    /// <c>10.96.0.10:80 > 10.0.0.9:41000 tcp [S.] checksums ok</c>; data is counted (<c>udp 12 bytes</c>), fragments and the packets
    /// that ICMP errors quote are named. Bytes that are no packet for us give the drop reason.
    /// </summary>
    /// <param name="packet">From the first byte of the IP header.</param>
    /// <param name="partialChecksum">The transport checksum is partial, and is checked as such.</param>
    public static string Describe(ReadOnlySpan<byte> packet, bool partialChecksum = false)
    {
        DropReason reason = PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at);
        if (reason != DropReason.None)
        {
            return $"unusable packet of {packet.Length} bytes: {reason}";
        }

        var line = new StringBuilder();
        bool hasPorts = !at.IsLaterFragment && at.IcmpKind == IcmpKind.None;
        AppendEndpoints(line, tuple, hasPorts);
        AppendTransport(line, packet, at, tuple);
        AppendFragment(line, at);
        return line.Append(" checksums ").Append(Name(TransportChecksum.Check(packet, at, tuple, partialChecksum))).ToString();
    }

    private static void AppendEndpoints(StringBuilder line, in FlowTuple tuple, bool hasPorts)
    {
        line.Append(hasPorts ? tuple.Source.WithPort(tuple.SourcePort) : tuple.Source.ToString());
        line.Append(" > ");
        line.Append(hasPorts ? tuple.Destination.WithPort(tuple.DestinationPort) : tuple.Destination.ToString());
    }

    private static void AppendTransport(StringBuilder line, ReadOnlySpan<byte> packet, in HeaderOffsets at, in FlowTuple tuple)
    {
        ReadOnlySpan<byte> transport = packet[at.TransportOffset..at.TotalLength];
        line.Append(' ').Append(Name(at.Protocol));
        if (at.IsLaterFragment)
        {
            return;
        }

        if (at.IcmpKind != IcmpKind.None)
        {
            AppendIcmp(line, packet, at, tuple);
            return;
        }

        int headerLength = at.Protocol == IpProtocol.Udp ? UdpHeader.HeaderLength : SctpHeader.HeaderLength;
        if (TcpFlagsAndLength(at, transport, out string flags, out int tcpHeaderLength))
        {
            line.Append(" [").Append(flags).Append(']');
            headerLength = tcpHeaderLength;
        }

        int payload = transport.Length - headerLength;
        if (payload > 0)
        {
            line.Append(' ').Append(payload).Append(payload == 1 ? " byte" : " bytes");
        }
    }

    private static bool TcpFlagsAndLength(in HeaderOffsets at, ReadOnlySpan<byte> transport, out string flags, out int headerLength)
    {
        flags = "";
        headerLength = 0;
        if (at.Protocol != IpProtocol.Tcp || TcpHeader.Parse(transport, out TcpHeader tcp) != DropReason.None)
        {
            return false;
        }

        var letters = new StringBuilder();
        foreach ((TcpFlags flag, char letter) in FlagLetters)
        {
            if ((tcp.Flags & flag) != TcpFlags.None)
            {
                letters.Append(letter);
            }
        }

        flags = letters.Length > 0 ? letters.ToString() : "none";
        headerLength = tcp.HeaderLength;
        return true;
    }

    private static void AppendIcmp(StringBuilder line, ReadOnlySpan<byte> packet, in HeaderOffsets at, in FlowTuple tuple)
    {
        _ = IcmpHeader.Parse(packet[at.TransportOffset..at.TotalLength], at.IsIpv4, out IcmpHeader icmp);
        switch (at.IcmpKind)
        {
            case IcmpKind.EchoRequest:
                line.Append(" echo request id ").Append(icmp.Identifier);
                break;
            case IcmpKind.EchoReply:
                line.Append(" echo reply id ").Append(icmp.Identifier);
                break;
            case IcmpKind.Error:
                line.Append(' ').Append(ErrorName(icmp, at.IsIpv4)).Append(" (");
                AppendQuoted(line, packet, at, tuple);
                line.Append(')');
                break;
            default:
                line.Append(" type ").Append(icmp.Type).Append(" code ").Append(icmp.Code);
                break;
        }
    }

    private static void AppendQuoted(StringBuilder line, ReadOnlySpan<byte> packet, in HeaderOffsets at, in FlowTuple outer)
    {
        DropReason reason = PacketParser.ParseEmbedded(packet, at, outer, out FlowTuple quoted, out HeaderOffsets quotedAt);
        if (reason != DropReason.None)
        {
            line.Append(reason);
            return;
        }

        AppendEndpoints(line, quoted, hasPorts: !quotedAt.IsLaterFragment && quotedAt.IcmpKind == IcmpKind.None);
        line.Append(' ').Append(Name(quotedAt.Protocol));
    }

    private static void AppendFragment(StringBuilder line, in HeaderOffsets at)
    {
        if (at.IsFragment)
        {
            line.Append(" fragment at ").Append(at.FragmentOffset).Append(at.MoreFragments ? "+" : "");
        }
    }

    private static string ErrorName(IcmpHeader icmp, bool isIpv4) => (isIpv4, icmp.Type, icmp.Code) switch
    {
        (true, IcmpHeader.DestinationUnreachableV4, IcmpHeader.PortUnreachableCodeV4) => "port unreachable",
        (false, IcmpHeader.DestinationUnreachableV6, IcmpHeader.PortUnreachableCodeV6) => "port unreachable",
        (true, IcmpHeader.DestinationUnreachableV4, 4) => $"fragmentation needed mtu {icmp.Rest & 0xFFFF}",
        (false, IcmpHeader.PacketTooBigV6, _) => $"packet too big mtu {icmp.Rest}",
        (true, IcmpHeader.DestinationUnreachableV4, _) or (false, IcmpHeader.DestinationUnreachableV6, _) =>
            $"destination unreachable code {icmp.Code}",
        (true, IcmpHeader.TimeExceededV4, _) or (false, IcmpHeader.TimeExceededV6, _) => "time exceeded",
        _ => $"error type {icmp.Type} code {icmp.Code}",
    };

    private static string Name(ChecksumState state) => state switch
    {
        ChecksumState.Valid => "ok",
        ChecksumState.Partial => "partial",
        ChecksumState.None => "none",
        _ => "bad",
    };

    private static string Name(IpProtocol protocol) => protocol switch
    {
        IpProtocol.Tcp => "tcp",
        IpProtocol.Udp => "udp",
        IpProtocol.Sctp => "sctp",
        IpProtocol.Icmp => "icmp",
        IpProtocol.IcmpV6 => "icmp6",
        _ => "ip",
    };
}
