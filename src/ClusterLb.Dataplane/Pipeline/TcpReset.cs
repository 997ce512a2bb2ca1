using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The reset that answers a segment for a closed port (RFC 9293, section 3.10.7.1).</summary>
internal static class TcpReset
{
    /// <inheritdoc cref="RejectReply.Build"/>
    public static int Build(Span<byte> buffer, in HeaderOffsets at, in FlowTuple tuple)
    {
        int length = CraftedIp.HeaderLength(at.IsIpv4) + TcpHeader.MinLength; // never longer than the packet it answers
        bool hasAck = (at.TcpFlags & TcpFlags.Ack) != TcpFlags.None;
        if ((at.TcpFlags & TcpFlags.Rst) != TcpFlags.None
            || (at.IsFragment && !hasAck) // what to acknowledge is where the segment ends, which only the last fragment knows
            || TcpHeader.Parse(buffer[at.TransportOffset..at.TotalLength], out TcpHeader refused) != DropReason.None)
        {
            return 0;
        }

        uint sequence = hasAck ? refused.Acknowledgement : 0;
        uint acknowledgement = hasAck ? 0 : refused.Sequence + SegmentLength(refused);

        Span<byte> packet = buffer[..length];
        Span<byte> segment = packet[CraftedIp.HeaderLength(at.IsIpv4)..];
        FlowTuple reply = tuple.Reverse;
        segment.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(segment, reply.SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], reply.DestinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment[TcpHeader.SequenceOffset..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment[TcpHeader.AcknowledgementOffset..], acknowledgement);
        segment[TcpHeader.DataOffset] = TcpHeader.MinLength / 4 << 4;
        segment[TcpHeader.FlagsOffset] = (byte)(hasAck ? TcpFlags.Rst : TcpFlags.Rst | TcpFlags.Ack);
        CraftedIp.WriteTransportChecksum(segment, TcpHeader.ChecksumOffset, reply);
        CraftedIp.WriteHeader(packet, reply);
        return length;
    }

    /// <summary>SEG.LEN: data, and one for each of SYN and FIN.</summary>
    private static uint SegmentLength(TcpHeader segment)
    {
        uint length = (uint)segment.PayloadLength;
        length += (segment.Flags & TcpFlags.Syn) != TcpFlags.None ? 1u : 0u;
        length += (segment.Flags & TcpFlags.Fin) != TcpFlags.None ? 1u : 0u;
        return length;
    }
}
