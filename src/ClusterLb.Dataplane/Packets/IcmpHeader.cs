using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>An ICMP (RFC 792) or ICMPv6 (RFC 4443) message seen in place; both begin with the same eight bytes.</summary>
/// <remarks><see cref="Parse"/> makes the only checks; once it returns <see cref="DropReason.None"/> no member can fail.</remarks>
public readonly ref struct IcmpHeader
{
    /// <summary>Bytes before the data of an echo, or before the packet that an error quotes.</summary>
    public const int HeaderLength = 8;

    internal const int ChecksumOffset = 2;
    internal const int IdentifierOffset = 4;

    internal const byte EchoReplyV4 = 0;
    internal const byte DestinationUnreachableV4 = 3;
    internal const byte SourceQuenchV4 = 4;
    internal const byte EchoRequestV4 = 8;
    internal const byte TimeExceededV4 = 11;
    internal const byte ParameterProblemV4 = 12;

    internal const byte DestinationUnreachableV6 = 1;
    internal const byte PacketTooBigV6 = 2;
    internal const byte TimeExceededV6 = 3;
    internal const byte ParameterProblemV6 = 4;
    internal const byte EchoRequestV6 = 128;
    internal const byte EchoReplyV6 = 129;

    internal const byte PortUnreachableCodeV4 = 3;
    internal const byte PortUnreachableCodeV6 = 4;

    private readonly ReadOnlySpan<byte> _message;
    private readonly bool _isIpv4;

    private IcmpHeader(ReadOnlySpan<byte> message, bool isIpv4)
    {
        _message = message;
        _isIpv4 = isIpv4;
    }

    /// <summary>Of the family's own numbering.</summary>
    public byte Type => _message[0];

    /// <summary>Details of the type.</summary>
    public byte Code => _message[1];

    /// <summary>Identifier of an echo; meaningless otherwise. Host order.</summary>
    public ushort Identifier => BinaryPrimitives.ReadUInt16BigEndian(_message[IdentifierOffset..]);

    /// <summary>Bytes 4 to 7: for "too big" errors the MTU. Host order.</summary>
    public uint Rest => BinaryPrimitives.ReadUInt32BigEndian(_message[IdentifierOffset..]);

    /// <summary>Nobody listens on the port that the quoted packet was for.</summary>
    public bool IsPortUnreachable => _isIpv4
        ? Type == DestinationUnreachableV4 && Code == PortUnreachableCodeV4
        : Type == DestinationUnreachableV6 && Code == PortUnreachableCodeV6;

    /// <summary>What it is to us.</summary>
    public IcmpKind Kind => _isIpv4
        ? Type switch
        {
            EchoRequestV4 => IcmpKind.EchoRequest,
            EchoReplyV4 => IcmpKind.EchoReply,
            DestinationUnreachableV4 or SourceQuenchV4 or TimeExceededV4 or ParameterProblemV4 => IcmpKind.Error,
            _ => IcmpKind.Other,
        }
        : Type switch
        {
            EchoRequestV6 => IcmpKind.EchoRequest,
            EchoReplyV6 => IcmpKind.EchoReply,
            DestinationUnreachableV6 or PacketTooBigV6 or TimeExceededV6 or ParameterProblemV6 => IcmpKind.Error,
            _ => IcmpKind.Other,
        };

    /// <summary>Checks lengths.</summary>
    /// <param name="bytes">The whole message, or its first fragment.</param>
    /// <param name="isIpv4">Which of the two numberings its type follows.</param>
    /// <param name="header">Good only if the answer is <see cref="DropReason.None"/>.</param>
    public static DropReason Parse(ReadOnlySpan<byte> bytes, bool isIpv4, out IcmpHeader header)
    {
        header = default;
        if (bytes.Length < HeaderLength)
        {
            return DropReason.Truncated;
        }

        header = new IcmpHeader(bytes, isIpv4);
        return DropReason.None;
    }
}
