using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>The Internet checksum: full sums (RFC 1071) and updates for what changed (RFC 1624).</summary>
/// <remarks>
/// Sums are kept unfolded in 64 bits. 2^16 is 1 modulo 0xFFFF, so 32-bit words may be added as they are and folded once at
/// the end. Words are in host order, as everywhere outside of the packet itself.
/// </remarks>
public static class InternetChecksum
{
    /// <summary>The unfolded sum of 16-bit words; an odd last byte counts as the upper half of a word.</summary>
    /// <param name="bytes">At most 4 GiB: the sum of 32-bit words cannot overflow before.</param>
    public static ulong Sum(ReadOnlySpan<byte> bytes)
    {
        ulong sum = 0;
        while (bytes.Length >= 4)
        {
            sum += BinaryPrimitives.ReadUInt32BigEndian(bytes);
            bytes = bytes[4..];
        }

        if (bytes.Length >= 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes);
            bytes = bytes[2..];
        }

        return bytes.IsEmpty ? sum : sum + ((ulong)bytes[0] << 8);
    }

    /// <summary>The sum of the pseudo header that TCP, UDP and ICMPv6 checksums cover (RFC 9293, section 3.1; RFC 8200, 8.1).</summary>
    /// <param name="source">Of the same family as <paramref name="destination"/>.</param>
    /// <param name="destination">Where the packet finally goes.</param>
    /// <param name="protocol">Of the transport header.</param>
    /// <param name="lengthBytes">Transport header and payload.</param>
    public static ulong PseudoHeader(IpAddr source, IpAddr destination, IpProtocol protocol, int lengthBytes) =>
        AddressSum(source) + AddressSum(destination) + (byte)protocol + (uint)lengthBytes;

    /// <summary>Folds a sum to 16 bits with end-around carry. Not complemented.</summary>
    public static ushort Fold(ulong sum)
    {
        sum = (sum & 0xFFFF_FFFF) + (sum >> 32); // 33 bits
        sum = (sum & 0xFFFF) + (sum >> 16); // 18 bits
        sum = (sum & 0xFFFF) + (sum >> 16); // 17 bits
        return (ushort)(sum + (sum >> 16));
    }

    /// <summary>The checksum as it stands in a header: the complement of the folded sum.</summary>
    public static ushort Finish(ulong sum) => (ushort)~Fold(sum);

    /// <summary>What a changed 32-bit word adds to a sum: ~m + m' of RFC 1624, equation 3.</summary>
    public static ulong Difference(uint oldWord, uint newWord) => (ulong)~oldWord + newWord;

    /// <summary>What a changed address adds to a sum.</summary>
    /// <param name="oldAddress">Of the same family as <paramref name="newAddress"/>.</param>
    /// <param name="newAddress">As it will stand in the packet.</param>
    public static ulong Difference(IpAddr oldAddress, IpAddr newAddress) =>
        Difference((uint)(oldAddress.High >> 32), (uint)(newAddress.High >> 32))
        + Difference((uint)oldAddress.High, (uint)newAddress.High)
        + Difference((uint)(oldAddress.Low >> 32), (uint)(newAddress.Low >> 32))
        + Difference((uint)oldAddress.Low, (uint)newAddress.Low);

    /// <summary>Adjusts a checksum, as it stands in the header, for what changed.</summary>
    /// <param name="checksum">The field before the change.</param>
    /// <param name="difference">The sum of all <see cref="Difference(uint, uint)"/> of the change.</param>
    /// <remarks>RFC 1624, equation 3. The older form of RFC 1141 yields 0xFFFF where a full sum yields 0x0000.</remarks>
    public static ushort Update(ushort checksum, ulong difference) => Finish((ushort)~checksum + difference);

    private static ulong AddressSum(IpAddr address) => address.IsIpv4
        ? address.Ipv4
        : (address.High >> 32) + (uint)address.High + (address.Low >> 32) + (uint)address.Low;
}
