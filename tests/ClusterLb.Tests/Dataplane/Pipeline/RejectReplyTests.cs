using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class RejectReplyTests
{
    private const string Client = "10.0.0.9:41000";
    private const string Frontend = "10.96.0.10:80";

    public static TheoryData<string, PacketBuilder> Unanswered => new()
    {
        { "a reset", Packet.Tcp(Client, Frontend).Rst() },
        { "a reset with ACK", Packet.Tcp(Client, Frontend).Flags(TcpFlags.Rst | TcpFlags.Ack) },
        { "an ICMP error", Packet.PortUnreachable("10.0.0.9", "10.96.0.10", Packet.Udp(Frontend, Client)) },
        { "a ping", Packet.Echo("10.0.0.9", "10.96.0.10") },
        { "an ICMPv6 error", Packet.TimeExceeded("fd00::9", "fd96::a", Packet.Udp("[fd96::a]:1", "[fd00::9]:2")) },
        { "to multicast", Packet.Udp(Client, "224.0.0.251:5353") },
        { "to broadcast", Packet.Udp(Client, "255.255.255.255:67") },
        { "from multicast", Packet.Udp("224.0.0.1:1", Frontend) },
        { "from nowhere", Packet.Udp("0.0.0.0:68", Frontend) },
        { "to IPv6 multicast", Packet.Udp("[fd00::9]:1", "[ff02::1]:2") },
        { "from the unspecified address", Packet.Udp("[::]:1", "[fd96::a]:2") },
    };

    public static TheoryData<string, PacketBuilder, uint, uint, TcpFlags> Resets => new()
    {
        { "SYN counts as one", Packet.Tcp(Client, Frontend).Syn().Numbers(7, 0), 0, 8, TcpFlags.Rst | TcpFlags.Ack },
        { "SYN with data (fast open)", Packet.Tcp(Client, Frontend).Syn().Numbers(7, 0).Payload(10), 0, 18, TcpFlags.Rst | TcpFlags.Ack },
        { "SYN and FIN", Packet.Tcp(Client, Frontend).Flags(TcpFlags.Syn | TcpFlags.Fin).Numbers(7, 0), 0, 9, TcpFlags.Rst | TcpFlags.Ack },
        { "sequence numbers wrap", Packet.Tcp(Client, Frontend).Syn().Numbers(uint.MaxValue, 0), 0, 0, TcpFlags.Rst | TcpFlags.Ack },
        { "options are not data", Packet.Tcp(Client, Frontend).Syn().Numbers(7, 0).TcpOptions("020405b4"), 0, 8, TcpFlags.Rst | TcpFlags.Ack },
        { "ACK gives the sequence number", Packet.Tcp(Client, Frontend).Ack().Numbers(7, 99), 99, 0, TcpFlags.Rst },
        { "data with ACK", Packet.Tcp(Client, Frontend).Push("hello").Numbers(7, 99), 99, 0, TcpFlags.Rst },
        { "IPv6", Packet.Tcp("[fd00::9]:41000", "[fd96::a]:80").HopByHop().Syn().Numbers(7, 0), 0, 8, TcpFlags.Rst | TcpFlags.Ack },
    };

    [Theory, MemberData(nameof(Unanswered))]
    public void No_answer_to(string because, PacketBuilder packet)
    {
        (byte[] buffer, int length) = Reject(packet);
        Assert.True(length == 0, because);
        Assert.Equal(packet.ToBytes(), buffer[..packet.ToBytes().Length]);
    }

    [Theory, MemberData(nameof(Resets))]
    public void Reset_follows_the_RFC(string because, PacketBuilder packet, uint sequence, uint acknowledgement, TcpFlags flags)
    {
        (byte[] buffer, int length) = Reject(packet);
        byte[] reset = buffer[..length];
        Assert.Equal(DropReason.None, PacketParser.Parse(reset, out FlowTuple tuple, out HeaderOffsets at));
        Assert.Equal(DropReason.None, TcpHeader.Parse(reset.AsSpan(at.TransportOffset), out TcpHeader tcp));
        Assert.True((sequence, acknowledgement, flags) == (tcp.Sequence, tcp.Acknowledgement, tcp.Flags), because);
        Assert.Equal(20, tcp.HeaderLength);
        Assert.EndsWith("checksums ok", PacketText.Describe(reset));
        PacketParser.Parse(packet.ToBytes(), out FlowTuple refused, out _);
        Assert.Equal(refused.Reverse, tuple);
    }

    [Fact]
    public void Datagram_is_answered_by_port_unreachable_in_the_name_of_the_frontend()
    {
        PacketBuilder packet = Packet.Udp(Client, Frontend).Payload("hello");
        (byte[] buffer, int length) = Reject(packet);
        Assert.Equal(
            "10.96.0.10 > 10.0.0.9 icmp port unreachable (10.0.0.9:41000 > 10.96.0.10:80 udp) checksums ok",
            PacketText.Describe(buffer.AsSpan(0, length)));
        Assert.Equal(packet.ToBytes(), buffer[28..length]);
    }

    [Fact]
    public void Datagram_over_IPv6_is_answered_by_ICMPv6()
    {
        PacketBuilder packet = Packet.Udp("[fd00::9]:41000", "[fd96::a]:80").DestinationOptions().Payload("hello");
        (byte[] buffer, int length) = Reject(packet);
        Assert.Equal(
            "fd96::a > fd00::9 icmp6 port unreachable ([fd00::9]:41000 > [fd96::a]:80 udp) checksums ok",
            PacketText.Describe(buffer.AsSpan(0, length)));
        Assert.Equal(packet.ToBytes(), buffer[48..length]);
    }

    [Fact]
    public void Sctp_is_answered_by_port_unreachable()
    {
        (byte[] buffer, int length) = Reject(Packet.Sctp(Client, Frontend).Payload(16));
        Assert.StartsWith("10.96.0.10 > 10.0.0.9 icmp port unreachable", PacketText.Describe(buffer.AsSpan(0, length)));
    }

    [Theory]
    [InlineData("10.0.0.9:41000", "10.96.0.10:80", 576)]
    [InlineData("[fd00::9]:41000", "[fd96::a]:80", 1280)]
    public void Quote_ends_where_the_answer_would_get_too_long(string client, string frontend, int longest)
    {
        (byte[] buffer, int length) = Reject(Packet.Udp(client, frontend).Payload(5000));
        Assert.Equal(longest, length);
        Assert.Contains("checksums ok", PacketText.Describe(buffer.AsSpan(0, length)));
    }

    [Fact]
    public void Quote_is_shorter_where_the_buffer_has_no_room()
    {
        byte[] packet = Packet.Udp(Client, Frontend).Payload(100);
        PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at);
        int length = RejectReply.Build(packet, at, tuple);
        Assert.Equal(packet.Length, length);
        Assert.Contains("(10.0.0.9:41000 > 10.96.0.10:80 udp) checksums ok", PacketText.Describe(packet));

        byte[] tiny = Packet.Udp(Client, Frontend);
        PacketParser.Parse(tiny, out tuple, out at);
        Assert.Equal(0, RejectReply.Build(tiny, at, tuple));
    }

    [Theory]
    [InlineData("10.0.0.9:41000", "10.96.0.10:80")]
    [InlineData("[fd00::9]:41000", "[fd96::a]:80")]
    public void Of_fragments_only_the_first_is_answered(string client, string frontend)
    {
        IReadOnlyList<byte[]> fragments = Packet.Udp(client, frontend).Payload(300).Fragments(104);
        Assert.NotEqual(0, Reject(fragments[0]).Length);
        Assert.Equal(0, Reject(fragments[1]).Length);

        // Where a SYN in pieces ends, only its last piece knows; with ACK the answer does not depend on it.
        Assert.Equal(0, Reject(Packet.Tcp(client, frontend).Syn().Payload(300).Fragments(104)[0]).Length);
        Assert.NotEqual(0, Reject(Packet.Tcp(client, frontend).Push("x").Payload(300).Fragments(104)[0]).Length);
    }

    private static (byte[] Buffer, int Length) Reject(byte[] packet)
    {
        var buffer = new byte[packet.Length + RejectReply.MaxLength];
        packet.CopyTo(buffer, 0);
        Assert.Equal(DropReason.None, PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at));
        return (buffer, RejectReply.Build(buffer, at, tuple));
    }
}
