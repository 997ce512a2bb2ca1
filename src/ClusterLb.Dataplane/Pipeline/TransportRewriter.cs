using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The transport header's part of a rewrite: ports (or an echo's identifier) and the checksum over them and the addresses.</summary>
internal static class TransportRewriter
{
    /// <summary>Rewrites one transport header.</summary>
    /// <param name="transport">Header and payload, to the end of the packet.</param>
    /// <param name="at">Of its packet.</param>
    /// <param name="addresses">What the new addresses add to the pseudo header's sum.</param>
    /// <param name="from">The ports as they are.</param>
    /// <param name="to">The ports to be.</param>
    /// <param name="partialChecksum">See <see cref="AddressRewriter.Rewrite"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Rewrite(
        Span<byte> transport, in HeaderOffsets at, ulong addresses, in FlowTuple from, in FlowTuple to, bool partialChecksum)
    {
        switch (at.Protocol)
        {
            case IpProtocol.Tcp:
                UpdateChecksum(transport[TcpHeader.ChecksumOffset..], addresses, WritePorts(transport, from, to), partialChecksum);
                break;

            case IpProtocol.Udp:
                ulong ports = WritePorts(transport, from, to);
                UpdateUdpChecksum(transport[UdpHeader.ChecksumOffset..], addresses, ports, partialChecksum);
                break;

            case IpProtocol.Sctp:
                RewriteSctp(transport, from, to, partialChecksum);
                break;

            default:
                ulong identifier = IsEcho(at) ? WriteIdentifier(transport, from, to) : 0;
                ulong pseudoHeader = at.IsIpv4 ? 0 : addresses; // ICMP for IPv4 has none
                UpdateChecksum(transport[IcmpHeader.ChecksumOffset..], pseudoHeader, identifier, partialChecksum);
                break;
        }
    }

    private static bool IsEcho(in HeaderOffsets at) => at.IcmpKind is IcmpKind.EchoRequest or IcmpKind.EchoReply;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong WritePorts(Span<byte> transport, in FlowTuple from, in FlowTuple to)
    {
        uint ports = Ports(to);
        BinaryPrimitives.WriteUInt32BigEndian(transport, ports);
        return InternetChecksum.Difference(Ports(from), ports);
    }

    private static ulong WriteIdentifier(Span<byte> transport, in FlowTuple from, in FlowTuple to)
    {
        BinaryPrimitives.WriteUInt16BigEndian(transport[IcmpHeader.IdentifierOffset..], to.SourcePort);
        return InternetChecksum.Difference(from.SourcePort, to.SourcePort);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UpdateChecksum(Span<byte> field, ulong pseudoHeader, ulong covered, bool partialChecksum)
    {
        ushort old = BinaryPrimitives.ReadUInt16BigEndian(field);

        // Partial: the device will sum the transport header itself, so what changed there must not be counted here.
        ushort changed = partialChecksum
            ? InternetChecksum.Fold(old + pseudoHeader)
            : InternetChecksum.Update(old, pseudoHeader + covered);
        BinaryPrimitives.WriteUInt16BigEndian(field, changed);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UpdateUdpChecksum(Span<byte> field, ulong pseudoHeader, ulong covered, bool partialChecksum)
    {
        if (partialChecksum)
        {
            UpdateChecksum(field, pseudoHeader, covered, partialChecksum: true);
            return;
        }

        ushort old = BinaryPrimitives.ReadUInt16BigEndian(field);
        if (old == 0)
        {
            return; // the sender computed none (RFC 768; for IPv6 tunnels RFC 6936)
        }

        ushort changed = InternetChecksum.Update(old, pseudoHeader + covered);
        BinaryPrimitives.WriteUInt16BigEndian(field, changed == 0 ? ushort.MaxValue : changed);
    }

    private static void RewriteSctp(Span<byte> transport, in FlowTuple from, in FlowTuple to, bool partialChecksum)
    {
        BinaryPrimitives.WriteUInt32BigEndian(transport, Ports(to));

        // The CRC32c covers ports but no addresses, and is stored with its least significant byte first (RFC 9260, appendix A).
        // Partial: whoever completes it computes all of it. Zero: the sender computed none (RFC 9653).
        Span<byte> field = transport[SctpHeader.ChecksumOffset..];
        uint old = BinaryPrimitives.ReadUInt32LittleEndian(field);
        if (!partialChecksum && old != 0)
        {
            uint changed = Crc32c.Update(old, Ports(from), Ports(to), transport.Length - sizeof(uint));
            BinaryPrimitives.WriteUInt32LittleEndian(field, changed);
        }
    }

    private static uint Ports(in FlowTuple tuple) => ((uint)tuple.SourcePort << 16) | tuple.DestinationPort;
}
