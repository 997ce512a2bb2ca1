using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>Checks a transport checksum over the whole packet: for traces, tests and the lab. Forwarding never looks at all bytes.</summary>
public static class TransportChecksum
{
    /// <summary>Sums everything that the checksum covers.</summary>
    /// <param name="packet">As it was parsed.</param>
    /// <param name="at">From the parser, for this packet.</param>
    /// <param name="tuple">From the parser, for this packet.</param>
    /// <param name="isPartial">The field holds the sum of the pseudo header only (virtio_net_hdr with NEEDS_CSUM).</param>
    public static ChecksumState Check(ReadOnlySpan<byte> packet, in HeaderOffsets at, in FlowTuple tuple, bool isPartial = false)
    {
        if (at.IsFragment)
        {
            return ChecksumState.Valid;
        }

        ReadOnlySpan<byte> transport = packet[at.TransportOffset..at.TotalLength];
        if (at.Protocol == IpProtocol.Udp && UdpHeader.Parse(transport, isFragment: false, out UdpHeader udp) == DropReason.None)
        {
            transport = transport[..udp.Length]; // what follows is padding
        }

        return at.Protocol == IpProtocol.Sctp
            ? CheckCrc(transport, isPartial)
            : CheckSum(transport, tuple, isPartial);
    }

    private static ChecksumState CheckSum(ReadOnlySpan<byte> transport, in FlowTuple tuple, bool isPartial)
    {
        int offset = tuple.Protocol switch
        {
            IpProtocol.Tcp => TcpHeader.ChecksumOffset,
            IpProtocol.Udp => UdpHeader.ChecksumOffset,
            _ => IcmpHeader.ChecksumOffset,
        };
        ushort field = BinaryPrimitives.ReadUInt16BigEndian(transport[offset..]);
        ulong pseudoHeader = tuple.Protocol == IpProtocol.Icmp
            ? 0
            : InternetChecksum.PseudoHeader(tuple.Source, tuple.Destination, tuple.Protocol, transport.Length);

        if (isPartial)
        {
            // 0 and 0xFFFF are the same number here.
            bool isRight = InternetChecksum.Fold(pseudoHeader) % 0xFFFF == field % 0xFFFF;
            return isRight ? ChecksumState.Partial : ChecksumState.Invalid;
        }

        if (tuple.Protocol == IpProtocol.Udp && field == 0)
        {
            return ChecksumState.None;
        }

        bool isValid = InternetChecksum.Fold(pseudoHeader + InternetChecksum.Sum(transport)) == 0xFFFF;
        return isValid ? ChecksumState.Valid : ChecksumState.Invalid;
    }

    private static ChecksumState CheckCrc(ReadOnlySpan<byte> transport, bool isPartial)
    {
        byte[] copy = transport.ToArray();
        Span<byte> field = copy.AsSpan(SctpHeader.ChecksumOffset, sizeof(uint));
        uint stated = BinaryPrimitives.ReadUInt32LittleEndian(field);
        if (isPartial)
        {
            return ChecksumState.Partial;
        }

        if (stated == 0)
        {
            return ChecksumState.None;
        }

        field.Clear();
        return Crc32c.Compute(copy) == stated ? ChecksumState.Valid : ChecksumState.Invalid;
    }
}
