using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>An SCTP packet seen in place: the common header, not the chunks (RFC 9260, section 3.1).</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct SctpHeader
{
    /// <summary>Bytes of the common header, always.</summary>
    public const int HeaderLength = 12;

    internal const int ChecksumOffset = 8;

    private readonly ReadOnlySpan<byte> _packet;

    private SctpHeader(ReadOnlySpan<byte> packet) => _packet = packet;

    /// <summary>Host order.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_packet);

    /// <summary>Host order.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_packet[2..]);

    /// <summary>Checks lengths.</summary>
    /// <param name="bytes">The whole packet.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    public static DropReason Parse(ReadOnlySpan<byte> bytes, out SctpHeader header)
    {
        header = default;
        if (bytes.Length < HeaderLength)
        {
            return DropReason.Truncated;
        }

        header = new SctpHeader(bytes);
        return DropReason.None;
    }
}
