using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>A UDP datagram seen in place (RFC 768).</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct UdpHeader
{
    /// <summary>Bytes of the header, always.</summary>
    public const int HeaderLength = 8;

    internal const int LengthOffset = 4;
    internal const int ChecksumOffset = 6;

    private readonly ReadOnlySpan<byte> _datagram;

    private UdpHeader(ReadOnlySpan<byte> datagram) => _datagram = datagram;

    /// <summary>Host order.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_datagram);

    /// <summary>Host order.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_datagram[2..]);

    /// <summary>Bytes of header and data, as the header says; may be less than the IP packet carries.</summary>
    public int Length => BinaryPrimitives.ReadUInt16BigEndian(_datagram[LengthOffset..]);

    /// <summary>0 means that the sender computed none.</summary>
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_datagram[ChecksumOffset..]);

    /// <summary>Checks lengths.</summary>
    /// <param name="bytes">The whole datagram, or its first fragment.</param>
    /// <param name="isFragment">The rest is elsewhere: the length field may be larger than what is here.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason Parse(ReadOnlySpan<byte> bytes, bool isFragment, out UdpHeader header)
    {
        header = default;
        if (bytes.Length < HeaderLength)
        {
            return DropReason.Truncated;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[LengthOffset..]);
        if (length < HeaderLength)
        {
            return DropReason.Malformed;
        }

        if (length > bytes.Length && !isFragment)
        {
            return DropReason.Truncated;
        }

        header = new UdpHeader(bytes);
        return DropReason.None;
    }
}
