using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Testing;

/// <summary>
/// What a rewritten packet must look like, the slow and obvious way: take it apart, change it, put it together, and compute
/// every checksum anew. Shares no code with the dataplane but the words for addresses and tuples.
/// </summary>
public static class ReferenceRewriter
{
    /// <summary>The packet with another tuple and one hop more to go.</summary>
    /// <param name="packet">A whole packet (no fragment) with right checksums, or none (UDP 0).</param>
    /// <param name="to">The tuple to be.</param>
    public static byte[] Rewrite(byte[] packet, FlowTuple to)
    {
        var copy = (byte[])packet.Clone();
        bool isIpv4 = copy[0] >> 4 == 4;
        int hopOffset = isIpv4 ? 8 : 7;
        copy[hopOffset] = (byte)Math.Min(255, copy[hopOffset] + 1);
        WriteAddresses(copy, to);
        int transport = TransportOffset(copy, out byte protocol);
        switch ((IpProtocol)protocol)
        {
            case IpProtocol.Icmp or IpProtocol.IcmpV6:
                if (copy[transport] is 0 or 8 or 128 or 129)
                {
                    BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(transport + 4), to.SourcePort);
                }

                break;
            default:
                BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(transport), to.SourcePort);
                BinaryPrimitives.WriteUInt16BigEndian(copy.AsSpan(transport + 2), to.DestinationPort);
                break;
        }

        CompleteChecksums(copy);
        return copy;
    }

    /// <summary>Computes all checksums of a packet: what a device does with a partial one, and what a sender does.</summary>
    /// <remarks>A UDP checksum of 0 stays; so does an SCTP checksum of 0.</remarks>
    public static void CompleteChecksums(byte[] packet, bool isPartial = false)
    {
        bool isIpv4 = packet[0] >> 4 == 4;
        if (isIpv4)
        {
            Span<byte> header = packet.AsSpan(0, (packet[0] & 15) * 4);
            header[10..12].Clear();
            BinaryPrimitives.WriteUInt16BigEndian(header[10..], ReferenceChecksum.Compute(header));
        }

        int offset = TransportOffset(packet, out byte protocol);
        Span<byte> transport = packet.AsSpan(offset);
        switch ((IpProtocol)protocol)
        {
            case IpProtocol.Tcp:
                WriteSum(packet, transport, 16, protocol, isPartial);
                break;
            case IpProtocol.Udp when isPartial || transport[6] != 0 || transport[7] != 0:
                WriteSum(packet, transport, 6, protocol, isPartial);
                break;
            case IpProtocol.Icmp or IpProtocol.IcmpV6:
                WriteSum(packet, transport, 2, protocol, isPartial);
                break;
            case IpProtocol.Sctp when isPartial || transport[8..12].ContainsAnyExcept((byte)0):
                transport[8..12].Clear();
                BinaryPrimitives.WriteUInt32LittleEndian(transport[8..], ReferenceChecksum.Crc32c(transport));
                break;
        }
    }

    /// <summary>The packet as it leaves a device that was asked to complete its checksum: sums what is there, field included.</summary>
    public static byte[] Complete(byte[] partial)
    {
        var copy = (byte[])partial.Clone();
        int offset = TransportOffset(copy, out byte protocol);
        Span<byte> transport = copy.AsSpan(offset);
        if (protocol == (byte)IpProtocol.Sctp)
        {
            CompleteChecksums(copy, isPartial: true);
            return copy;
        }

        int field = protocol == (byte)IpProtocol.Tcp ? 16 : protocol == (byte)IpProtocol.Udp ? 6 : 2;
        ushort checksum = ReferenceChecksum.Compute(transport); // the kernel's skb_checksum_help does no more than this
        BinaryPrimitives.WriteUInt16BigEndian(transport[field..], NonZero(checksum, protocol));
        return copy;
    }

    /// <summary>Where the transport header begins.</summary>
    public static int TransportOffset(ReadOnlySpan<byte> packet, out byte protocol)
    {
        if (packet[0] >> 4 == 4)
        {
            protocol = packet[9];
            return (packet[0] & 15) * 4;
        }

        protocol = packet[6];
        int offset = 40;
        while (protocol is 0 or 43 or 44 or 60)
        {
            int length = protocol == 44 ? 8 : (packet[offset + 1] + 1) * 8;
            protocol = packet[offset];
            offset += length;
        }

        return offset;
    }

    private static void WriteAddresses(Span<byte> packet, FlowTuple to)
    {
        bool isIpv4 = packet[0] >> 4 == 4;
        to.Source.WriteTo(packet[(isIpv4 ? 12 : 8)..]);
        to.Destination.WriteTo(packet[(isIpv4 ? 16 : 24)..]);
    }

    private static void WriteSum(ReadOnlySpan<byte> packet, Span<byte> transport, int field, byte protocol, bool isPartial)
    {
        transport.Slice(field, 2).Clear();
        bool isIpv4 = packet[0] >> 4 == 4;
        ushort pseudoHeader = protocol == (byte)IpProtocol.Icmp
            ? (ushort)0
            : ReferenceChecksum.PseudoHeader(
                isIpv4 ? packet[12..16] : packet[8..24], isIpv4 ? packet[16..20] : packet[24..40], protocol, transport.Length);
        ushort checksum = (ushort)~ReferenceChecksum.Sum(pseudoHeader, transport);
        BinaryPrimitives.WriteUInt16BigEndian(transport[field..], NonZero(checksum, protocol));
    }

    private static ushort NonZero(ushort checksum, byte protocol) =>
        checksum == 0 && protocol == (byte)IpProtocol.Udp ? ushort.MaxValue : checksum;
}
