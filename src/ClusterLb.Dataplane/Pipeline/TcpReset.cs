using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The reset that answers a segment for a closed port (RFC 9293, section 3.10.7.1).</summary>
internal static class TcpReset
{
    /// <inheritdoc cref="RejectReply.Build"/>
    public static int Build(Span<byte> buffer, in HeaderOffsets at, in FlowTuple tuple)
    {
        int length = CraftedTcp.Length(at.IsIpv4); // never longer than the packet it answers
        bool hasAck = (at.TcpFlags & TcpFlags.Ack) != TcpFlags.None;
        if ((at.TcpFlags & TcpFlags.Rst) != TcpFlags.None
            || (at.IsFragment && !hasAck) // what to acknowledge is where the segment ends, which only the last fragment knows
            || TcpHeader.Parse(buffer[at.TransportOffset..at.TotalLength], out TcpHeader refused) != DropReason.None)
        {
            return 0;
        }

        uint sequence = hasAck ? refused.Acknowledgement : 0;
        uint acknowledgement = hasAck ? 0 : refused.Sequence + SegmentLength(refused);
        CraftedTcp.Write(buffer[..length], tuple.Reverse, sequence, acknowledgement, hasAck ? TcpFlags.Rst : TcpFlags.Rst | TcpFlags.Ack);
        return length;
    }

    /// <summary>Turns a segment on its way into a reset of its sender's, at the place in the stream where the segment is.</summary>
    /// <param name="buffer">The whole segment, at least.</param>
    /// <param name="at">From the parser, for this packet.</param>
    /// <param name="onward">As its receiver shall see it.</param>
    /// <returns>Bytes of the reset.</returns>
    public static int Become(Span<byte> buffer, in HeaderOffsets at, in FlowTuple onward)
    {
        int length = CraftedTcp.Length(at.IsIpv4);
        ReadOnlySpan<byte> before = buffer[at.TransportOffset..];
        CraftedTcp.Write(
            buffer[..length],
            onward,
            BinaryPrimitives.ReadUInt32BigEndian(before[TcpHeader.SequenceOffset..]),
            BinaryPrimitives.ReadUInt32BigEndian(before[TcpHeader.AcknowledgementOffset..]),
            TcpFlags.Rst | (at.TcpFlags & TcpFlags.Ack));
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
