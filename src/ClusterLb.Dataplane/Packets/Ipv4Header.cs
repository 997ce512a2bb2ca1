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
    private const uint MoreFragmentsFlag = 0x2000;
    private const uint FragmentOffsetMask = 0x1FFF; // in units of eight bytes

    private readonly ReadOnlySpan<byte> _packet; // header and payload; exactly as long as the header says, less if quoted

    // The header's five words. The checksum needs them all, so they are read once; the fields are cut from them.
    private readonly uint _versionAndLength;
    private readonly uint _fragment;
    private readonly uint _ttlAndProtocol;

    private Ipv4Header(ReadOnlySpan<byte> packet, uint versionAndLength, uint fragment, uint ttlAndProtocol, uint source, uint destination)
    {
        _packet = packet;
        _versionAndLength = versionAndLength;
        _fragment = fragment;
        _ttlAndProtocol = ttlAndProtocol;
        Source = source;
        Destination = destination;
    }

    /// <summary>Bytes: 20 to 60.</summary>
    public int HeaderLength => HeaderLengthOf(_versionAndLength);

    /// <summary>Bytes of header and payload that are there: what the header says, unless the packet is quoted and was cut.</summary>
    public int Length => _packet.Length;

    /// <summary>With source, destination and protocol: which fragments belong together.</summary>
    public ushort Identification => (ushort)(_fragment >> 16);

    /// <summary>True for every fragment but the last of a datagram.</summary>
    public bool MoreFragments => (_fragment & MoreFragmentsFlag) != 0;

    /// <summary>Where this fragment's payload belongs in the datagram's, in bytes; 0 for a first fragment or a whole datagram.</summary>
    public int FragmentOffsetBytes => (int)(_fragment & FragmentOffsetMask) * 8;

    /// <summary>Hops left.</summary>
    public byte Ttl => (byte)(_ttlAndProtocol >> 24);

    /// <summary>What follows the header.</summary>
    public IpProtocol Protocol => (IpProtocol)(byte)(_ttlAndProtocol >> 16);

    /// <summary>The address in host order.</summary>
    public uint Source { get; }

    /// <summary>The address in host order.</summary>
    public uint Destination { get; }

    /// <summary>All but the header.</summary>
    public ReadOnlySpan<byte> Payload => _packet[HeaderLength..];

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

        ReadOnlySpan<byte> fixedPart = bytes[..MinLength];
        uint versionAndLength = BinaryPrimitives.ReadUInt32BigEndian(fixedPart);
        int headerLength = HeaderLengthOf(versionAndLength);
        int totalLength = (ushort)versionAndLength;
        if (versionAndLength >> 28 != 4 || headerLength < MinLength || totalLength < headerLength)
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

        uint fragment = BinaryPrimitives.ReadUInt32BigEndian(fixedPart[IdentificationOffset..]);
        uint ttlAndProtocol = BinaryPrimitives.ReadUInt32BigEndian(fixedPart[TtlOffset..]);
        uint source = BinaryPrimitives.ReadUInt32BigEndian(fixedPart[SourceOffset..]);
        uint destination = BinaryPrimitives.ReadUInt32BigEndian(fixedPart[DestinationOffset..]);
        ulong sum = (ulong)versionAndLength + fragment + ttlAndProtocol + source + destination;

        if (headerLength > MinLength)
        {
            ReadOnlySpan<byte> options = bytes[MinLength..headerLength];
            sum += InternetChecksum.Sum(options);
            if (!Ipv4Options.AreAcceptable(options))
            {
                return DropReason.Malformed;
            }
        }

        if (!quoted && InternetChecksum.Fold(sum) != 0xFFFF)
        {
            return DropReason.BadChecksum;
        }

        header = new Ipv4Header(bytes[..totalLength], versionAndLength, fragment, ttlAndProtocol, source, destination);
        return DropReason.None;
    }

    private static int HeaderLengthOf(uint versionAndLength) => (int)(versionAndLength >> 24 & 0x0F) * 4; // IHL counts 32-bit words
}
