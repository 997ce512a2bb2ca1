using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The network header's part of a rewrite. Each method returns what the new addresses add to a transport checksum.</summary>
internal static class IpRewriter
{
    private const ushort OneHop = 0x0100; // TTL is the upper byte of its 16-bit word

    /// <summary>Addresses, TTL + 1, header checksum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong RewriteIpv4(Span<byte> packet, in FlowTuple from, in FlowTuple to)
    {
        Span<byte> header = packet[..Ipv4Header.MinLength];
        ulong addresses = InternetChecksum.Difference(from.Source.Ipv4, to.Source.Ipv4)
            + InternetChecksum.Difference(from.Destination.Ipv4, to.Destination.Ipv4);

        ulong difference = addresses;
        if (header[Ipv4Header.TtlOffset] < byte.MaxValue)
        {
            header[Ipv4Header.TtlOffset]++;
            difference += OneHop;
        }

        BinaryPrimitives.WriteUInt32BigEndian(header[Ipv4Header.SourceOffset..], to.Source.Ipv4);
        BinaryPrimitives.WriteUInt32BigEndian(header[Ipv4Header.DestinationOffset..], to.Destination.Ipv4);
        UpdateField(header[Ipv4Header.ChecksumOffset..], difference);
        return addresses;
    }

    /// <summary>Addresses, hop limit + 1. IPv6 has no header checksum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong RewriteIpv6(Span<byte> packet, in FlowTuple from, in FlowTuple to)
    {
        Span<byte> header = packet[..Ipv6Header.HeaderLength];
        if (header[Ipv6Header.HopLimitOffset] < byte.MaxValue)
        {
            header[Ipv6Header.HopLimitOffset]++;
        }

        to.Source.WriteTo(header[Ipv6Header.SourceOffset..]);
        to.Destination.WriteTo(header[Ipv6Header.DestinationOffset..]);
        return InternetChecksum.Difference(from.Source, to.Source)
            + InternetChecksum.Difference(from.Destination, to.Destination);
    }

    /// <summary>TTL or hop limit, and the header checksum where there is one.</summary>
    public static void SetHopLimit(Span<byte> packet, bool isIpv4, byte hops)
    {
        if (!isIpv4)
        {
            packet[Ipv6Header.HopLimitOffset] = hops;
            return;
        }

        uint before = (uint)packet[Ipv4Header.TtlOffset] << 8; // the upper byte of its 16-bit word
        packet[Ipv4Header.TtlOffset] = hops;
        UpdateField(packet[Ipv4Header.ChecksumOffset..], InternetChecksum.Difference(before, (uint)hops << 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UpdateField(Span<byte> field, ulong difference) =>
        BinaryPrimitives.WriteUInt16BigEndian(
            field, InternetChecksum.Update(BinaryPrimitives.ReadUInt16BigEndian(field), difference));
}
