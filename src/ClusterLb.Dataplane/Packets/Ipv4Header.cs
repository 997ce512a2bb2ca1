using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>An IPv4 packet seen in place: this view owns no memory and copies nothing (RFC 791, section 3.1).</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct Ipv4Header
{
    /// <summary>Bytes of a header without options.</summary>
    public const int MinLength = 20;

    internal const int TotalLengthOffset = 2;
    internal const int IdentificationOffset = 4;
    internal const int FragmentOffset = 6;
    internal const int TtlOffset = 8;
    internal const int ProtocolOffset = 9;
    internal const int ChecksumOffset = 10;
    internal const int SourceOffset = 12;
    internal const int DestinationOffset = 16;

    internal const ushort DontFragmentFlag = 0x4000;
    private const ushort MoreFragmentsFlag = 0x2000;
    private const ushort FragmentOffsetMask = 0x1FFF; // in units of eight bytes

    private readonly ReadOnlySpan<byte> _packet; // header and payload; exactly TotalLength bytes, fewer if quoted

    private Ipv4Header(ReadOnlySpan<byte> packet) => _packet = packet;

    /// <summary>Bytes: 20 to 60.</summary>
    public int HeaderLength => (_packet[0] & 0x0F) * 4; // IHL counts 32-bit words

    /// <summary>Bytes of header and payload that are there: what the header says, unless the packet is quoted and was cut.</summary>
    public int Length => _packet.Length;

    /// <summary>With source, destination and protocol: which fragments belong together.</summary>
    public ushort Identification => BinaryPrimitives.ReadUInt16BigEndian(_packet[IdentificationOffset..]);

    /// <summary>True for every fragment but the last of a datagram.</summary>
    public bool MoreFragments => (FragmentWord & MoreFragmentsFlag) != 0;

    /// <summary>Where this fragment's payload belongs in the datagram's, in bytes; 0 for a first fragment or a whole datagram.</summary>
    public int FragmentOffsetBytes => (FragmentWord & FragmentOffsetMask) * 8;

    /// <summary>Hops left.</summary>
    public byte Ttl => _packet[TtlOffset];

    /// <summary>What follows the header.</summary>
    public IpProtocol Protocol => (IpProtocol)_packet[ProtocolOffset];

    /// <summary>The address in host order.</summary>
    public uint Source => BinaryPrimitives.ReadUInt32BigEndian(_packet[SourceOffset..]);

    /// <summary>The address in host order.</summary>
    public uint Destination => BinaryPrimitives.ReadUInt32BigEndian(_packet[DestinationOffset..]);

    /// <summary>All but the header.</summary>
    public ReadOnlySpan<byte> Payload => _packet[HeaderLength..];

    private ushort FragmentWord => BinaryPrimitives.ReadUInt16BigEndian(_packet[FragmentOffset..]);

    /// <summary>Checks lengths, options and the header checksum.</summary>
    /// <param name="bytes">From the first byte of the header; what follows the packet's own length is left alone.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    /// <param name="quoted">The packet is quoted by an ICMP error: its end may be missing, and its checksum is its sender's affair.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason Parse(ReadOnlySpan<byte> bytes, out Ipv4Header header, bool quoted = false)
    {
        header = default;
        if (bytes.Length < MinLength)
        {
            return DropReason.Truncated;
        }

        int headerLength = (bytes[0] & 0x0F) * 4;
        int totalLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[TotalLengthOffset..]);
        if (bytes[0] >> 4 != 4 || headerLength < MinLength || totalLength < headerLength)
        {
            return DropReason.Malformed; // a total length of 0 is Linux' "BIG TCP", which the device does not offer
        }

        if (totalLength > bytes.Length)
        {
            if (!quoted || headerLength > bytes.Length)
            {
                return DropReason.Truncated;
            }

            totalLength = bytes.Length;
        }

        if (!quoted && !IsChecksumValid(bytes[..headerLength]))
        {
            return DropReason.BadChecksum;
        }

        if (headerLength > MinLength && !Ipv4Options.AreAcceptable(bytes[MinLength..headerLength]))
        {
            return DropReason.Malformed;
        }

        header = new Ipv4Header(bytes[..totalLength]);
        return DropReason.None;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsChecksumValid(ReadOnlySpan<byte> header)
    {
        // The five words that every header has, without a loop: this is on the path of every packet.
        ulong sum = (ulong)BinaryPrimitives.ReadUInt32BigEndian(header)
            + BinaryPrimitives.ReadUInt32BigEndian(header[4..])
            + BinaryPrimitives.ReadUInt32BigEndian(header[8..])
            + BinaryPrimitives.ReadUInt32BigEndian(header[12..])
            + BinaryPrimitives.ReadUInt32BigEndian(header[16..]);
        if (header.Length > MinLength)
        {
            sum += InternetChecksum.Sum(header[MinLength..]);
        }

        return InternetChecksum.Fold(sum) == 0xFFFF;
    }
}
