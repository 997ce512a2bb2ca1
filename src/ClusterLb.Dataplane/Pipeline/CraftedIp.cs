using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The IP header and checksums of packets that we send ourselves.</summary>
internal static class CraftedIp
{
    /// <summary>The value that RFC 1700 recommends, and what Linux sends.</summary>
    public const byte HopLimit = 64;

    /// <summary>Bytes of the header that <see cref="WriteHeader"/> writes.</summary>
    public static int HeaderLength(bool isIpv4) => isIpv4 ? Ipv4Header.MinLength : Ipv6Header.HeaderLength;

    /// <summary>Writes a header without options.</summary>
    /// <param name="packet">Header and payload, exactly.</param>
    /// <param name="tuple">Addresses and protocol.</param>
    public static void WriteHeader(Span<byte> packet, in FlowTuple tuple)
    {
        packet[..HeaderLength(tuple.IsIpv4)].Clear();
        if (!tuple.IsIpv4)
        {
            packet[0] = 0x60; // version; traffic class and flow label 0
            BinaryPrimitives.WriteUInt16BigEndian(
                packet[Ipv6Header.PayloadLengthOffset..], (ushort)(packet.Length - Ipv6Header.HeaderLength));
            packet[Ipv6Header.NextHeaderOffset] = (byte)tuple.Protocol;
            packet[Ipv6Header.HopLimitOffset] = HopLimit;
            tuple.Source.WriteTo(packet[Ipv6Header.SourceOffset..]);
            tuple.Destination.WriteTo(packet[Ipv6Header.DestinationOffset..]);
            return;
        }

        packet[0] = 0x45; // version, five words
        BinaryPrimitives.WriteUInt16BigEndian(packet[Ipv4Header.TotalLengthOffset..], (ushort)packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet[Ipv4Header.FragmentOffset..], Ipv4Header.DontFragmentFlag);
        packet[Ipv4Header.TtlOffset] = HopLimit;
        packet[Ipv4Header.ProtocolOffset] = (byte)tuple.Protocol;
        tuple.Source.WriteTo(packet[Ipv4Header.SourceOffset..]);
        tuple.Destination.WriteTo(packet[Ipv4Header.DestinationOffset..]);
        WriteChecksum(packet[Ipv4Header.ChecksumOffset..], InternetChecksum.Sum(packet[..Ipv4Header.MinLength]));
    }

    /// <summary>Computes and writes a transport checksum whose field is still 0.</summary>
    /// <param name="transport">Header and payload.</param>
    /// <param name="checksumOffset">Of the field, in <paramref name="transport"/>.</param>
    /// <param name="tuple">Addresses and protocol.</param>
    public static void WriteTransportChecksum(Span<byte> transport, int checksumOffset, in FlowTuple tuple)
    {
        ulong pseudoHeader = tuple.Protocol == IpProtocol.Icmp
            ? 0
            : InternetChecksum.PseudoHeader(tuple.Source, tuple.Destination, tuple.Protocol, transport.Length);
        WriteChecksum(transport[checksumOffset..], pseudoHeader + InternetChecksum.Sum(transport));
    }

    private static void WriteChecksum(Span<byte> field, ulong sum) =>
        BinaryPrimitives.WriteUInt16BigEndian(field, InternetChecksum.Finish(sum));
}
