using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class Ipv6HeaderTests
{
    private const string Addresses = "fd000000000000000000000000000001 fd000000000000000000000000000002";

    // Eight bytes of UDP to stand behind the headers under test.
    private const string Udp = "0001 0002 0008 0000";

    public static TheoryData<string, string, DropReason> Refused => new()
    {
        { "one byte short of a header", $"60000000 0008 11 40 {Addresses[..^2]}", DropReason.Truncated },
        { "payload past the end", $"60000000 0009 11 40 {Addresses} {Udp}", DropReason.Truncated },
        { "version 5", $"50000000 0008 11 40 {Addresses} {Udp}", DropReason.Malformed },
        { "no payload (a jumbogram)", $"60000000 0000 00 40 {Addresses} 11 00 c204 00010000 {Udp}", DropReason.Malformed },
        { "IPv4-mapped source", $"60000000 0008 11 40 00000000000000000000ffff0a000001 {Addresses[33..]} {Udp}", DropReason.Malformed },
        { "IPv4-mapped destination", $"60000000 0008 11 40 {Addresses[..33]} 00000000000000000000ffff0a000001 {Udp}", DropReason.Malformed },
        { "hop-by-hop options behind another header", $"60000000 0018 3c 40 {Addresses} 00 00 010400000000 11 00 010400000000 {Udp}", DropReason.Malformed },
        { "extension header longer than the packet", $"60000000 0010 3c 40 {Addresses} 11 02 010400000000 {Udp}", DropReason.Truncated },
        { "extension header cut short", $"60000000 0007 3c 40 {Addresses} 11 00 0104000000", DropReason.Truncated },
        { "source route with a hop to go", $"60000000 0020 2b 40 {Addresses} 11 02 00 01 00000000 fd000000000000000000000000000003 {Udp}", DropReason.Malformed },
        { "fragment of a fragment", $"60000000 0018 2c 40 {Addresses} 2c 00 0001 00000001 11 00 0001 00000001 {Udp}", DropReason.Malformed },
        { "authentication header", $"60000000 0008 33 40 {Addresses} {Udp}", DropReason.UnknownProtocol },
        { "encapsulating security payload", $"60000000 0008 32 40 {Addresses} {Udp}", DropReason.UnknownProtocol },
        { "no next header", $"60000000 0008 3b 40 {Addresses} {Udp}", DropReason.UnknownProtocol },
        { "mobility header", $"60000000 0008 87 40 {Addresses} {Udp}", DropReason.UnknownProtocol },
        { "ICMP for IPv4", $"60000000 0008 01 40 {Addresses} 0800 0000 0001 0001", DropReason.UnknownProtocol },
        { "transport header cut short", $"60000000 0007 11 40 {Addresses} 0001 0002 0008 00", DropReason.Truncated },
    };

    [Theory, MemberData(nameof(Refused))]
    public void Parse_refuses(string because, string hex, DropReason reason)
    {
        DropReason got = PacketParser.Parse(Packet.Bytes(hex), out _, out _);
        Assert.True(reason == got, $"{because}: {got}");
    }

    [Theory]
    [InlineData(8, DropReason.None)]
    [InlineData(9, DropReason.Malformed)]
    public void Extension_headers_are_followed_up_to_a_bound(int count, DropReason reason)
    {
        PacketBuilder packet = Packet.Udp("[fd00::1]:1", "[fd00::2]:2");
        for (int i = 0; i < count; i++)
        {
            packet.DestinationOptions();
        }

        Assert.Equal(reason, PacketParser.Parse(packet.ToBytes(), out _, out _));
    }

    [Fact]
    public void Atomic_fragment_is_a_whole_datagram()
    {
        byte[] packet = Packet.Tcp("[fd00::1]:1", "[fd00::2]:2").FragmentHeader(id: 99);
        Assert.Equal(DropReason.None, PacketParser.Parse(packet, out FlowTuple tuple, out HeaderOffsets at));
        Assert.False(at.IsFragment);
        Assert.Equal(0u, at.FragmentId);
        Assert.Equal(2, tuple.DestinationPort);
    }

    [Fact]
    public void Longest_packet_is_read()
    {
        byte[] packet = Packet.Tcp("[fd00::1]:1", "[fd00::2]:2").Payload(65535 - 20);
        Assert.Equal(DropReason.None, PacketParser.Parse(packet, out _, out HeaderOffsets at));
        Assert.Equal(65575, at.TotalLength);
    }
}
