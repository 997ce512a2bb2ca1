using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>A TCP segment seen in place (RFC 9293, section 3.1).</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct TcpHeader
{
    /// <summary>Bytes of a header without options.</summary>
    public const int MinLength = 20;

    internal const int SequenceOffset = 4;
    internal const int AcknowledgementOffset = 8;
    internal const int DataOffset = 12;
    internal const int FlagsOffset = 13;
    internal const int ChecksumOffset = 16;

    private readonly ReadOnlySpan<byte> _segment;

    private TcpHeader(ReadOnlySpan<byte> segment) => _segment = segment;

    /// <summary>Host order.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_segment);

    /// <summary>Host order.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_segment[2..]);

    /// <summary>Sequence number of the first byte of data, or of the SYN.</summary>
    public uint Sequence => BinaryPrimitives.ReadUInt32BigEndian(_segment[SequenceOffset..]);

    /// <summary>The next sequence number that the sender expects; only with <see cref="TcpFlags.Ack"/>.</summary>
    public uint Acknowledgement => BinaryPrimitives.ReadUInt32BigEndian(_segment[AcknowledgementOffset..]);

    /// <summary>The control bits.</summary>
    public TcpFlags Flags => (TcpFlags)_segment[FlagsOffset];

    /// <summary>Bytes of header and options: 20 to 60.</summary>
    public int HeaderLength => (_segment[DataOffset] >> 4) * 4;

    /// <summary>Bytes of data.</summary>
    public int PayloadLength => _segment.Length - HeaderLength;

    /// <summary>Checks lengths.</summary>
    /// <param name="bytes">The whole segment, or its first fragment.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DropReason Parse(ReadOnlySpan<byte> bytes, out TcpHeader header)
    {
        header = default;
        if (bytes.Length < MinLength)
        {
            return DropReason.Truncated;
        }

        int headerLength = (bytes[DataOffset] >> 4) * 4;
        if (headerLength < MinLength)
        {
            return DropReason.Malformed;
        }

        if (headerLength > bytes.Length)
        {
            return DropReason.Truncated;
        }

        header = new TcpHeader(bytes);
        return DropReason.None;
    }
}
