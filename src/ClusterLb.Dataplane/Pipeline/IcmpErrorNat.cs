using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>Translates ICMP errors: the packet they quote and the addresses they travel between (RFC 5508, section 4).</summary>
/// <remarks>
/// One rule serves both directions. Somebody was sent <c>embedded</c> by us, or by the kernel on our behalf, and complains to its
/// source; the one who really sent it knows it as <c>translated</c>. So the error goes to <c>translated.Source</c>. Who complains
/// stays as it is (a router), unless it is the far end itself, which the receiver knows by its other address.
/// <list type="bullet">
/// <item>Error about a packet to the backend: embedded = client (or our SNAT address) to backend, translated = client to frontend.</item>
/// <item>Error about a packet to the client: embedded = frontend to client, translated = backend to client (or our SNAT address).</item>
/// </list>
/// </remarks>
public static class IcmpErrorNat
{
    /// <summary>Rewrites an ICMP error and what it quotes in place.</summary>
    /// <param name="packet">The packet with the error, as it was parsed.</param>
    /// <param name="at">From <see cref="PacketParser.Parse"/>.</param>
    /// <param name="outer">From <see cref="PacketParser.Parse"/>.</param>
    /// <param name="embeddedAt">From <see cref="PacketParser.ParseEmbedded"/>.</param>
    /// <param name="embedded">From <see cref="PacketParser.ParseEmbedded"/>.</param>
    /// <param name="translated">What the quoted packet is to become; of the same family and protocol.</param>
    /// <param name="partialChecksum">See <see cref="AddressRewriter.Rewrite"/>.</param>
    /// <returns>The tuple that the error travels by now.</returns>
    public static FlowTuple Rewrite(
        Span<byte> packet,
        in HeaderOffsets at,
        in FlowTuple outer,
        in HeaderOffsets embeddedAt,
        in FlowTuple embedded,
        in FlowTuple translated,
        bool partialChecksum)
    {
        IpAddr complainer = outer.Source == embedded.Destination ? translated.Destination : outer.Source;
        FlowTuple to = outer with { Source = complainer, Destination = translated.Source };

        // The ICMP checksum covers the quoted packet, so each word changed there counts, its own checksums included.
        ulong quoted = RewriteQuoted(packet.Slice(at.EmbeddedOffset, embeddedAt.TotalLength), embeddedAt, embedded, translated);
        AddressRewriter.Rewrite(packet, at, outer, to, partialChecksum);
        if (!partialChecksum)
        {
            UpdateField(packet[(at.TransportOffset + IcmpHeader.ChecksumOffset)..], quoted);
        }

        return to;
    }

    /// <summary>Rewrites the headers of the quoted packet as far as they are there.</summary>
    /// <returns>What the changes add to the sum over the quoted packet.</returns>
    private static ulong RewriteQuoted(Span<byte> quoted, in HeaderOffsets at, in FlowTuple from, in FlowTuple to)
    {
        ulong addresses = InternetChecksum.Difference(from.Source, to.Source)
            + InternetChecksum.Difference(from.Destination, to.Destination);
        ulong difference = addresses;
        if (at.IsIpv4)
        {
            to.Source.WriteTo(quoted[Ipv4Header.SourceOffset..]);
            to.Destination.WriteTo(quoted[Ipv4Header.DestinationOffset..]);
            difference += UpdateField(quoted[Ipv4Header.ChecksumOffset..], addresses);
        }
        else
        {
            to.Source.WriteTo(quoted[Ipv6Header.SourceOffset..]);
            to.Destination.WriteTo(quoted[Ipv6Header.DestinationOffset..]);
        }

        return at.IsLaterFragment
            ? difference
            : difference + RewriteQuotedTransport(quoted[at.TransportOffset..], at, addresses, from, to);
    }

    private static ulong RewriteQuotedTransport(
        Span<byte> transport, in HeaderOffsets at, ulong addresses, in FlowTuple from, in FlowTuple to)
    {
        switch (at.Protocol)
        {
            case IpProtocol.Tcp:
            case IpProtocol.Udp:
                ulong ports = TransportRewriter.WritePorts(transport, from, to);
                int checksumOffset = at.Protocol == IpProtocol.Tcp ? TcpHeader.ChecksumOffset : UdpHeader.ChecksumOffset;
                return transport.Length < checksumOffset + sizeof(ushort) // eight bytes of TCP end before its checksum
                    ? ports
                    : ports + UpdateField(transport[checksumOffset..], addresses + ports, at.Protocol == IpProtocol.Udp);

            case IpProtocol.Sctp:
                return TransportRewriter.WritePorts(transport, from, to); // its CRC covers bytes that the quote may lack

            default:
                return 0; // a ping has no ports to translate
        }
    }

    /// <summary>Updates a checksum field.</summary>
    /// <returns>What the changed field itself adds to a sum that covers it.</returns>
    private static ulong UpdateField(Span<byte> field, ulong difference, bool isUdp = false)
    {
        ushort old = BinaryPrimitives.ReadUInt16BigEndian(field);
        if (isUdp && old == 0)
        {
            return 0; // the sender computed none
        }

        ushort changed = InternetChecksum.Update(old, difference);
        changed = isUdp && changed == 0 ? ushort.MaxValue : changed;
        BinaryPrimitives.WriteUInt16BigEndian(field, changed);
        return InternetChecksum.Difference(old, changed);
    }
}
