using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>TCP segments without data and options that we send ourselves.</summary>
internal static class CraftedTcp
{
    /// <summary>Bytes of such a packet.</summary>
    public static int Length(bool isIpv4) => CraftedIp.HeaderLength(isIpv4) + TcpHeader.MinLength;

    /// <summary>Writes the whole packet; the window is 0.</summary>
    /// <param name="packet"><see cref="Length"/> bytes.</param>
    /// <param name="tuple">Addresses and ports, as the packet shall have them.</param>
    /// <param name="sequence">Host order.</param>
    /// <param name="acknowledgement">Host order.</param>
    /// <param name="flags">The control bits.</param>
    public static void Write(Span<byte> packet, in FlowTuple tuple, uint sequence, uint acknowledgement, TcpFlags flags)
    {
        Span<byte> segment = packet[CraftedIp.HeaderLength(tuple.IsIpv4)..];
        segment.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(segment, tuple.SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], tuple.DestinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment[TcpHeader.SequenceOffset..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment[TcpHeader.AcknowledgementOffset..], acknowledgement);
        segment[TcpHeader.DataOffset] = TcpHeader.MinLength / 4 << 4;
        segment[TcpHeader.FlagsOffset] = (byte)flags;
        CraftedIp.WriteTransportChecksum(segment, TcpHeader.ChecksumOffset, tuple);
        CraftedIp.WriteHeader(packet, tuple);
    }
}
