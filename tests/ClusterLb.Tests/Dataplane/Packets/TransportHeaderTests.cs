using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class TransportHeaderTests
{
    public static TheoryData<string, byte, string, DropReason> Headers => new()
    {
        { "TCP", 6, "0001 0002 00000003 00000004 5002 ffff 0000 0000", DropReason.None },
        { "TCP one byte short", 6, "0001 0002 00000003 00000004 5002 ffff 0000 00", DropReason.Truncated },
        { "TCP data offset of 4 words", 6, "0001 0002 00000003 00000004 4002 ffff 0000 0000", DropReason.Malformed },
        { "TCP options past the end", 6, "0001 0002 00000003 00000004 6002 ffff 0000 0000", DropReason.Truncated },
        { "UDP", 17, "0001 0002 0008 0000", DropReason.None },
        { "UDP one byte short", 17, "0001 0002 0008 00", DropReason.Truncated },
        { "UDP length below its header", 17, "0001 0002 0007 0000", DropReason.Malformed },
        { "UDP length 0 (jumbogram)", 17, "0001 0002 0000 0000", DropReason.Malformed },
        { "UDP length past the end", 17, "0001 0002 0009 0000", DropReason.Truncated },
        { "UDP with padding behind", 17, "0001 0002 0008 0000 00", DropReason.None },
        { "SCTP", 132, "0001 0002 00000003 00000000", DropReason.None },
        { "SCTP one byte short", 132, "0001 0002 00000003 000000", DropReason.Truncated },
        { "ICMP", 1, "0800 0000 0001 0001", DropReason.None },
        { "ICMP one byte short", 1, "0800 0000 0001 00", DropReason.Truncated },
        { "ICMPv6 in IPv4", 58, "8000 0000 0001 0001", DropReason.UnknownProtocol },
        { "GRE", 47, "0000 0800 0000 0000", DropReason.UnknownProtocol },
        { "authentication header", 51, "0604 0000 00000001 00000001 000000", DropReason.UnknownProtocol },
        { "encapsulating security payload", 50, "00000001 00000001", DropReason.UnknownProtocol },
    };

    public static TheoryData<bool, byte, IcmpKind> IcmpTypes => new()
    {
        { true, 0, IcmpKind.EchoReply },
        { true, 3, IcmpKind.Error },
        { true, 4, IcmpKind.Error },
        { true, 5, IcmpKind.Other },
        { true, 8, IcmpKind.EchoRequest },
        { true, 11, IcmpKind.Error },
        { true, 12, IcmpKind.Error },
        { true, 13, IcmpKind.Other },
        { false, 1, IcmpKind.Error },
        { false, 2, IcmpKind.Error },
        { false, 3, IcmpKind.Error },
        { false, 4, IcmpKind.Error },
        { false, 128, IcmpKind.EchoRequest },
        { false, 129, IcmpKind.EchoReply },
        { false, 135, IcmpKind.Other },
    };

    [Theory, MemberData(nameof(Headers))]
    public void Transport_header_is_checked(string because, byte protocol, string hex, DropReason reason)
    {
        byte[] packet = Packet.Raw(protocol, "10.0.0.1", "10.0.0.2").RawTransport(Packet.Bytes(hex));
        DropReason got = PacketParser.Parse(packet, out _, out _);
        Assert.True(reason == got, $"{because}: {got}");
    }

    [Theory, MemberData(nameof(IcmpTypes))]
    public void Icmp_type_is_classified(bool isIpv4, byte type, IcmpKind kind)
    {
        byte[] packet = isIpv4
            ? Packet.Icmp("10.0.0.1", "10.0.0.2", type, 0, 0, 0)
            : Packet.Icmp("fd00::1", "fd00::2", 0, type, 0, 0);
        Assert.Equal(DropReason.None, PacketParser.Parse(packet, out _, out HeaderOffsets at));
        Assert.Equal(kind, at.IcmpKind);
        Assert.Equal(kind == IcmpKind.Error, at.IsIcmpError);
    }

    [Fact]
    public void Tcp_fields_are_read()
    {
        byte[] segment = Packet.Bytes("a028 0050 01020304 05060708 6012 ffff 0000 0000 020405b4 beef");
        Assert.Equal(DropReason.None, TcpHeader.Parse(segment, out TcpHeader tcp));
        Assert.Equal(41000, tcp.SourcePort);
        Assert.Equal(80, tcp.DestinationPort);
        Assert.Equal(0x01020304u, tcp.Sequence);
        Assert.Equal(0x05060708u, tcp.Acknowledgement);
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, tcp.Flags);
        Assert.Equal(24, tcp.HeaderLength);
        Assert.Equal(2, tcp.PayloadLength);
    }
}
