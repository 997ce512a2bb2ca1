using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>From bytes to a <see cref="FlowTuple"/> and <see cref="HeaderOffsets"/>, or a reason to drop.</summary>
/// <remarks>
/// Checks every length once; whoever is given the offsets may rely on them. Never throws, never allocates, reads only.
/// </remarks>
public static class PacketParser
{
    // What an ICMP error must quote of a transport header (RFC 792); enough for ports and for an echo's identifier.
    private const int MinQuotedTransport = 8;

    /// <summary>Parses a whole packet.</summary>
    /// <param name="packet">From the first byte of the IP header. Bytes after the packet's own length are ignored.</param>
    /// <param name="tuple">In a later fragment and in ICMP messages other than echo, the ports are 0.</param>
    /// <param name="at">Good only if the answer is <see cref="DropReason.None"/>, like <paramref name="tuple"/>.</param>
    /// <returns>
    /// <see cref="DropReason.None"/>, <see cref="DropReason.Truncated"/>, <see cref="DropReason.Malformed"/>,
    /// <see cref="DropReason.BadChecksum"/>, <see cref="DropReason.UnknownProtocol"/> or <see cref="DropReason.SctpFragment"/>.
    /// </returns>
    public static DropReason Parse(ReadOnlySpan<byte> packet, out FlowTuple tuple, out HeaderOffsets at) =>
        ParseIp(packet, quoted: false, out tuple, out at);

    /// <summary>Parses the packet that an ICMP error quotes.</summary>
    /// <param name="packet">The packet with the error.</param>
    /// <param name="at">Its offsets; <see cref="HeaderOffsets.IsIcmpError"/> holds.</param>
    /// <param name="outer">Its tuple.</param>
    /// <param name="embedded">The tuple of the quoted packet: as it was sent, so from the one who is now told.</param>
    /// <param name="embeddedAt">Offsets in the quoted packet, which count from <see cref="HeaderOffsets.EmbeddedOffset"/>.</param>
    /// <returns><see cref="DropReason.None"/>, or why the error cannot be understood.</returns>
    public static DropReason ParseEmbedded(
        ReadOnlySpan<byte> packet,
        in HeaderOffsets at,
        in FlowTuple outer,
        out FlowTuple embedded,
        out HeaderOffsets embeddedAt)
    {
        DropReason reason = ParseIp(packet[at.EmbeddedOffset..at.TotalLength], quoted: true, out embedded, out embeddedAt);
        if (reason != DropReason.None)
        {
            return reason;
        }

        // An error about an error does not exist (RFC 1122, section 3.2.2), one of the other family cannot be translated, and
        // an error goes to the sender of what it is about: anything else is forged.
        return embeddedAt.IsIcmpError || embeddedAt.IsIpv4 != at.IsIpv4 || embedded.Source != outer.Destination
            ? DropReason.Malformed
            : DropReason.None;
    }

    private static DropReason ParseIp(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        if (packet.IsEmpty)
        {
            tuple = default;
            at = default;
            return DropReason.Truncated;
        }

        return packet[0] >> 4 == 4
            ? ParseIpv4(packet, quoted, out tuple, out at)
            : ParseIpv6(packet, quoted, out tuple, out at);
    }

    private static DropReason ParseIpv4(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        tuple = default;
        at = default;
        DropReason reason = Ipv4Header.Parse(packet, out Ipv4Header ip, quoted);
        if (reason != DropReason.None)
        {
            return reason;
        }

        bool isFragment = ip.MoreFragments || ip.FragmentOffsetBytes != 0;
        var transport = new Transport(ip.Protocol, isIpv4: true, isFragment, isLater: ip.FragmentOffsetBytes != 0);
        reason = quoted ? transport.ReadQuoted(ip.Payload) : transport.Read(ip.Payload);
        if (reason != DropReason.None)
        {
            return reason;
        }

        tuple = new FlowTuple(
            IpAddr.FromIpv4(ip.Source), IpAddr.FromIpv4(ip.Destination), transport.SourcePort, transport.DestinationPort, ip.Protocol);
        at = new HeaderOffsets
        {
            TotalLength = ip.Length,
            TransportOffset = (ushort)ip.HeaderLength,
            Protocol = ip.Protocol,
            TcpFlags = transport.TcpFlags,
            IcmpKind = transport.IcmpKind,
            IsIpv4 = true,
            MoreFragments = ip.MoreFragments,
            FragmentOffset = (ushort)ip.FragmentOffsetBytes,
            FragmentId = isFragment ? ip.Identification : 0u,
        };
        return DropReason.None;
    }

    private static DropReason ParseIpv6(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        tuple = default;
        at = default;
        DropReason reason = Ipv6Header.Parse(packet, out Ipv6Header ip, quoted);
        if (reason != DropReason.None)
        {
            return reason;
        }

        var extensions = default(Ipv6Extensions);
        reason = extensions.Walk(ip);
        if (reason != DropReason.None)
        {
            return reason;
        }

        bool isLater = extensions.FragmentOffsetBytes != 0;
        var transport = new Transport(extensions.Protocol, isIpv4: false, extensions.IsFragment, isLater);
        ReadOnlySpan<byte> payload = ip.Payload[(extensions.TransportOffset - Ipv6Header.HeaderLength)..];
        reason = quoted ? transport.ReadQuoted(payload) : transport.Read(payload);
        if (reason != DropReason.None)
        {
            return reason;
        }

        tuple = new FlowTuple(
            ip.Source, ip.Destination, transport.SourcePort, transport.DestinationPort, extensions.Protocol);
        at = new HeaderOffsets
        {
            TotalLength = ip.Length,
            TransportOffset = (ushort)extensions.TransportOffset,
            Protocol = extensions.Protocol,
            TcpFlags = transport.TcpFlags,
            IcmpKind = transport.IcmpKind,
            MoreFragments = extensions.MoreFragments,
            FragmentOffset = (ushort)extensions.FragmentOffsetBytes,
            FragmentId = extensions.IsFragment ? extensions.FragmentId : 0u,
        };
        return DropReason.None;
    }

    /// <summary>What the transport header says.</summary>
    private ref struct Transport(IpProtocol protocol, bool isIpv4, bool isFragment, bool isLater)
    {
        public ushort SourcePort;
        public ushort DestinationPort;
        public TcpFlags TcpFlags;
        public IcmpKind IcmpKind;

        public DropReason Read(ReadOnlySpan<byte> bytes)
        {
            if (isLater)
            {
                return ReadLaterFragment();
            }

            return protocol switch
            {
                IpProtocol.Tcp => ReadTcp(bytes),
                IpProtocol.Udp => ReadUdp(bytes),
                IpProtocol.Sctp => ReadSctp(bytes),
                IpProtocol.Icmp when isIpv4 => ReadIcmp(bytes),
                IpProtocol.IcmpV6 when !isIpv4 => ReadIcmp(bytes),
                _ => DropReason.UnknownProtocol,
            };
        }

        /// <summary>Of a quoted packet eight bytes are all that can be relied on.</summary>
        public DropReason ReadQuoted(ReadOnlySpan<byte> bytes)
        {
            if (isLater)
            {
                return ReadLaterFragment();
            }

            if (bytes.Length < MinQuotedTransport)
            {
                return DropReason.Truncated;
            }

            if (protocol is not (IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Sctp))
            {
                return protocol == (isIpv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6) ? ReadIcmp(bytes) : DropReason.UnknownProtocol;
            }

            SourcePort = BinaryPrimitives.ReadUInt16BigEndian(bytes);
            DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
            return DropReason.None;
        }

        private readonly DropReason ReadLaterFragment() => protocol switch
        {
            IpProtocol.Sctp => DropReason.SctpFragment,
            IpProtocol.Tcp or IpProtocol.Udp => DropReason.None,
            IpProtocol.Icmp when isIpv4 => DropReason.None,
            IpProtocol.IcmpV6 or IpProtocol.Any when !isIpv4 => DropReason.None,
            _ => DropReason.UnknownProtocol,
        };

        private DropReason ReadTcp(ReadOnlySpan<byte> bytes)
        {
            DropReason reason = TcpHeader.Parse(bytes, out TcpHeader tcp);
            if (reason == DropReason.None)
            {
                SourcePort = tcp.SourcePort;
                DestinationPort = tcp.DestinationPort;
                TcpFlags = tcp.Flags;
            }

            return reason;
        }

        private DropReason ReadUdp(ReadOnlySpan<byte> bytes)
        {
            DropReason reason = UdpHeader.Parse(bytes, isFragment, out UdpHeader udp);
            if (reason == DropReason.None)
            {
                SourcePort = udp.SourcePort;
                DestinationPort = udp.DestinationPort;
            }

            return reason;
        }

        private DropReason ReadSctp(ReadOnlySpan<byte> bytes)
        {
            if (isFragment)
            {
                return DropReason.SctpFragment;
            }

            DropReason reason = SctpHeader.Parse(bytes, out SctpHeader sctp);
            if (reason == DropReason.None)
            {
                SourcePort = sctp.SourcePort;
                DestinationPort = sctp.DestinationPort;
            }

            return reason;
        }

        private DropReason ReadIcmp(ReadOnlySpan<byte> bytes)
        {
            DropReason reason = IcmpHeader.Parse(bytes, isIpv4, out IcmpHeader icmp);
            if (reason == DropReason.None)
            {
                IcmpKind = icmp.Kind;
                if (IcmpKind is IcmpKind.EchoRequest or IcmpKind.EchoReply)
                {
                    SourcePort = icmp.Identifier;
                    DestinationPort = icmp.Identifier;
                }
            }

            return reason;
        }
    }
}
