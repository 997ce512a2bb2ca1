using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>An IPv6 packet seen in place: this view owns no memory and copies nothing (RFC 8200, section 3).</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct Ipv6Header
{
    /// <summary>Bytes of the header, always.</summary>
    public const int HeaderLength = 40;

    internal const int PayloadLengthOffset = 4;
    internal const int NextHeaderOffset = 6;
    internal const int HopLimitOffset = 7;
    internal const int SourceOffset = 8;
    internal const int DestinationOffset = 24;

    private readonly ReadOnlySpan<byte> _packet; // header and payload; exactly as long as the header says, less if quoted

    private Ipv6Header(ReadOnlySpan<byte> packet) => _packet = packet;

    /// <summary>Bytes of header and payload that are there: what the header says, unless the packet is quoted and was cut.</summary>
    public int Length => _packet.Length;

    /// <summary>Type of the first extension header, or the transport protocol.</summary>
    public byte NextHeader => _packet[NextHeaderOffset];

    /// <summary>Hops left.</summary>
    public byte HopLimit => _packet[HopLimitOffset];

    /// <summary>The address.</summary>
    public IpAddr Source => IpAddr.ReadIpv6(_packet[SourceOffset..]);

    /// <summary>The address. With a finished routing header, which is the only kind we accept, also the final one.</summary>
    public IpAddr Destination => IpAddr.ReadIpv6(_packet[DestinationOffset..]);

    /// <summary>All but the header: extension headers first.</summary>
    public ReadOnlySpan<byte> Payload => _packet[HeaderLength..];

    /// <summary>Checks version, lengths, and that the addresses are IPv6 ones.</summary>
    /// <param name="bytes">From the first byte of the header; what follows the packet's own length is left alone.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    /// <param name="quoted">The packet is quoted by an ICMP error: its end may be missing.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason Parse(ReadOnlySpan<byte> bytes, out Ipv6Header header, bool quoted = false)
    {
        header = default;
        if (bytes.Length < HeaderLength)
        {
            return DropReason.Truncated;
        }

        int payloadLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[PayloadLengthOffset..]);
        if (bytes[0] >> 4 != 6 || payloadLength == 0)
        {
            return DropReason.Malformed; // no payload: a jumbogram (RFC 2675), which the device does not offer, or nothing at all
        }

        if (IpAddr.ReadIpv6(bytes[SourceOffset..]).IsIpv4 || IpAddr.ReadIpv6(bytes[DestinationOffset..]).IsIpv4)
        {
            return DropReason.Malformed; // IPv4-mapped addresses mean IPv4 inside of a host, and nothing on the wire (RFC 4942, 2.2)
        }

        int totalLength = HeaderLength + payloadLength;
        if (totalLength > bytes.Length)
        {
            if (!quoted)
            {
                return DropReason.Truncated;
            }

            totalLength = bytes.Length;
        }

        header = new Ipv6Header(bytes[..totalLength]);
        return DropReason.None;
    }
}
