using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Agent.Explain;

/// <summary>Builds the packets that explain sends: the first of a connection, and the answer to it. Checksums are right.</summary>
internal static class ProbePacket
{
    private const int Ipv4HeaderLength = 20;
    private const int Ipv6HeaderLength = 40;
    private const byte HopLimit = 64;
    private const uint ClientSequence = 1000;
    private const uint ServerSequence = 5000;

    /// <summary>A TCP SYN, a datagram, an SCTP INIT or an ICMP echo request.</summary>
    /// <param name="packet">Room for 128 bytes.</param>
    /// <param name="tuple">Of an echo request the source port is the identifier.</param>
    /// <returns>Bytes written.</returns>
    public static int WriteFirst(Span<byte> packet, in FlowTuple tuple) => Write(packet, tuple, isAnswer: false);

    /// <summary>A SYN-ACK, a datagram, an SCTP INIT ACK or an ICMP echo reply.</summary>
    /// <param name="packet">Room for 128 bytes.</param>
    /// <param name="tuple">From the server to whom it answers.</param>
    /// <returns>Bytes written.</returns>
    public static int WriteAnswer(Span<byte> packet, in FlowTuple tuple) => Write(packet, tuple, isAnswer: true);

    private static int Write(Span<byte> packet, in FlowTuple tuple, bool isAnswer)
    {
        int ipLength = tuple.IsIpv4 ? Ipv4HeaderLength : Ipv6HeaderLength;
        int length = ipLength + WriteTransport(packet[ipLength..], tuple, isAnswer);
        if (tuple.IsIpv4)
        {
            WriteIpv4(packet[..length], tuple);
        }
        else
        {
            WriteIpv6(packet[..length], tuple);
        }

        return length;
    }

    private static void WriteIpv4(Span<byte> packet, in FlowTuple tuple)
    {
        Span<byte> header = packet[..Ipv4HeaderLength];
        header.Clear();
        header[0] = 0x45; // version 4, five words
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)packet.Length);
        header[6] = 0x40; // don't fragment
        header[8] = HopLimit;
        header[9] = (byte)tuple.Protocol;
        tuple.Source.WriteTo(header[12..]);
        tuple.Destination.WriteTo(header[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Sum(header)));
    }

    private static void WriteIpv6(Span<byte> packet, in FlowTuple tuple)
    {
        Span<byte> header = packet[..Ipv6HeaderLength];
        header.Clear();
        header[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)(packet.Length - Ipv6HeaderLength));
        header[6] = (byte)tuple.Protocol;
        header[7] = HopLimit;
        tuple.Source.WriteTo(header[8..]);
        tuple.Destination.WriteTo(header[24..]);
    }

    private static int WriteTransport(Span<byte> bytes, in FlowTuple tuple, bool isAnswer) => tuple.Protocol switch
    {
        IpProtocol.Tcp => WriteTcp(bytes[..20], tuple, isAnswer),
        IpProtocol.Udp => WriteUdp(bytes[..13], tuple),
        IpProtocol.Sctp => WriteSctp(bytes[..32], tuple, isAnswer),
        IpProtocol.Icmp => WriteEcho(bytes[..13], tuple, (byte)(isAnswer ? 0 : 8)),
        IpProtocol.IcmpV6 => WriteEcho(bytes[..13], tuple, (byte)(isAnswer ? 129 : 128)),
        _ => throw new ArgumentOutOfRangeException(nameof(tuple), tuple.Protocol, "Only TCP, UDP, SCTP and ICMP can be explained."),
    };

    private static int WriteTcp(Span<byte> segment, in FlowTuple tuple, bool isAnswer)
    {
        segment.Clear();
        WritePorts(segment, tuple);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], isAnswer ? ServerSequence : ClientSequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], isAnswer ? ClientSequence + 1 : 0);
        segment[12] = 0x50; // five words
        segment[13] = (byte)(isAnswer ? TcpFlags.Syn | TcpFlags.Ack : TcpFlags.Syn);
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], ushort.MaxValue);
        WriteChecksum(segment, 16, tuple);
        return segment.Length;
    }

    private static int WriteUdp(Span<byte> datagram, in FlowTuple tuple)
    {
        datagram.Clear();
        WritePorts(datagram, tuple);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        "probe"u8.CopyTo(datagram[8..]);
        WriteChecksum(datagram, 6, tuple);
        return datagram.Length;
    }

    /// <summary>RFC 9260, sections 3.1, 3.3.2 and 3.3.3.</summary>
    private static int WriteSctp(Span<byte> packet, in FlowTuple tuple, bool isAnswer)
    {
        packet.Clear();
        WritePorts(packet, tuple);
        BinaryPrimitives.WriteUInt32BigEndian(packet[4..], isAnswer ? ClientSequence : 0); // an INIT has no tag yet
        packet[12] = (byte)(isAnswer ? 2 : 1);
        BinaryPrimitives.WriteUInt16BigEndian(packet[14..], 20); // the chunk
        BinaryPrimitives.WriteUInt32BigEndian(packet[16..], isAnswer ? ServerSequence : ClientSequence); // initiate tag
        BinaryPrimitives.WriteUInt32BigEndian(packet[20..], ushort.MaxValue); // receiver window
        BinaryPrimitives.WriteUInt16BigEndian(packet[24..], 1); // streams out
        BinaryPrimitives.WriteUInt16BigEndian(packet[26..], 1); // streams in
        BinaryPrimitives.WriteUInt32BigEndian(packet[28..], 1); // first TSN
        BinaryPrimitives.WriteUInt32LittleEndian(packet[8..], Crc32c.Compute(packet)); // appendix A: the only field that is not in network order
        return packet.Length;
    }

    private static int WriteEcho(Span<byte> message, in FlowTuple tuple, byte type)
    {
        message.Clear();
        message[0] = type;
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], tuple.SourcePort); // identifier
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], 1); // sequence
        "probe"u8.CopyTo(message[8..]);
        if (tuple.IsIpv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(InternetChecksum.Sum(message)));
        }
        else
        {
            WriteChecksum(message, 2, tuple);
        }

        return message.Length;
    }

    private static void WritePorts(Span<byte> bytes, in FlowTuple tuple)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, tuple.SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], tuple.DestinationPort);
    }

    private static void WriteChecksum(Span<byte> bytes, int at, in FlowTuple tuple)
    {
        ulong sum = InternetChecksum.PseudoHeader(tuple.Source, tuple.Destination, tuple.Protocol, bytes.Length) + InternetChecksum.Sum(bytes);
        ushort checksum = InternetChecksum.Finish(sum);
        bool isUdp = tuple.Protocol == IpProtocol.Udp; // RFC 768: 0 means none, so 0 is sent as 0xFFFF
        BinaryPrimitives.WriteUInt16BigEndian(bytes[at..], isUdp && checksum == 0 ? ushort.MaxValue : checksum);
    }
}
