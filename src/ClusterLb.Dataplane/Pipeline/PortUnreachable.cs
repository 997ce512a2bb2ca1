using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>ICMP destination unreachable, port unreachable (RFC 792; RFC 4443, section 3.1), quoting the refused packet.</summary>
internal static class PortUnreachable
{
    /// <summary>Bytes, at most: RFC 1812, section 4.3.2.3.</summary>
    public const int MaxLengthV4 = 576;

    /// <summary>Bytes, at most: RFC 4443, section 2.4 c.</summary>
    public const int MaxLengthV6 = 1280;

    /// <inheritdoc cref="RejectReply.Build"/>
    public static int Build(Span<byte> buffer, in HeaderOffsets at, in FlowTuple tuple)
    {
        int before = CraftedIp.HeaderLength(at.IsIpv4) + IcmpHeader.HeaderLength;
        int room = Math.Min(at.IsIpv4 ? MaxLengthV4 : MaxLengthV6, buffer.Length);
        int quoted = Math.Min(at.TotalLength, room - before);
        if (quoted < at.TransportOffset + IcmpHeader.HeaderLength)
        {
            return 0; // without eight bytes of its transport header nobody could tell what was refused
        }

        int length = before + quoted;
        Span<byte> packet = buffer[..length];
        packet[..quoted].CopyTo(packet[before..]); // the two overlap; CopyTo moves

        FlowTuple reply = tuple.Reverse with
        {
            SourcePort = 0,
            DestinationPort = 0,
            Protocol = at.IsIpv4 ? IpProtocol.Icmp : IpProtocol.IcmpV6,
        };
        Span<byte> message = packet[CraftedIp.HeaderLength(at.IsIpv4)..];
        message[..IcmpHeader.HeaderLength].Clear();
        message[0] = at.IsIpv4 ? IcmpHeader.DestinationUnreachableV4 : IcmpHeader.DestinationUnreachableV6;
        message[1] = at.IsIpv4 ? IcmpHeader.PortUnreachableCodeV4 : IcmpHeader.PortUnreachableCodeV6;
        CraftedIp.WriteTransportChecksum(message, IcmpHeader.ChecksumOffset, reply);
        CraftedIp.WriteHeader(packet, reply);
        return length;
    }
}
