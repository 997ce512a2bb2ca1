using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class Ipv4HeaderTests
{
    public static TheoryData<string, string, DropReason> Refused => new()
    {
        { "no byte at all", "", DropReason.Truncated },
        { "one byte short of a header", "45000014 00000000 40060000 0a000001 0a0000", DropReason.Truncated },
        { "IHL of 4 words", "44000014 00000000 400667e2 0a000001 0a000002", DropReason.Malformed },
        { "version 6", "65000014 00000000 400646e2 0a000001 0a000002", DropReason.Malformed },
        { "total length smaller than the header", "45000013 00000000 400666e3 0a000001 0a000002", DropReason.Malformed },
        { "total length 0 (BIG TCP)", "45000000 00000000 400666f6 0a000001 0a000002", DropReason.Malformed },
        { "total length past the end", "45000015 00000000 400666e1 0a000001 0a000002", DropReason.Truncated },
        { "header checksum off by one", "45000014 00000000 400666e3 0a000001 0a000002", DropReason.BadChecksum },
        { "options past the end", "46000018 00000000 400665de 0a000001 0a000002 0000", DropReason.Truncated },
        { "option of length 0", "46000018 00000000 40061ade 0a000001 0a000002 44000000", DropReason.Malformed },
    };

    public static TheoryData<string, string, bool> Options => new()
    {
        { "end of list", "00000000", true },
        { "no operation, then end", "01010100", true },
        { "no operation to the last byte", "01010101", true },
        { "router alert", "94040000", true },
        { "record route", "0107040a00000100", true },
        { "length 0", "44000000", false },
        { "length 1", "44010000", false },
        { "length past the end", "44050000", false },
        { "no room for a length", "01010144", false },
        { "loose source route", "8307040a00000100", false },
        { "strict source route", "8907040a00000100", false },
        { "source route behind another option", "018307040a000001", false },
        { "anything behind the end of the list", "00830000", true },
    };

    [Theory, MemberData(nameof(Refused))]
    public void Parse_refuses(string because, string hex, DropReason reason)
    {
        DropReason got = Ipv4Header.Parse(Packet.Bytes(hex), out _);
        Assert.True(reason == got, $"{because}: {got}");
    }

    [Theory, MemberData(nameof(Options))]
    public void Options_are_checked(string because, string hex, bool isAcceptable)
    {
        byte[] packet = Packet.Udp("10.0.0.1:1", "10.0.0.2:2").IpOptions(hex);
        DropReason got = Ipv4Header.Parse(packet, out _);
        Assert.True((isAcceptable ? DropReason.None : DropReason.Malformed) == got, $"{because}: {got}");
    }

    [Fact]
    public void Fields_are_read()
    {
        byte[] packet = Packet.Bytes("46 00 001a 1234 3555 7f 11 1a6e 0a000001 0a000002 94040000 beef ffff");

        Assert.Equal(DropReason.BadChecksum, Ipv4Header.Parse(packet, out _));
        Assert.Equal(DropReason.None, Ipv4Header.Parse(packet, out Ipv4Header header, quoted: true));
        Assert.Equal(24, header.HeaderLength);
        Assert.Equal(26, header.Length);
        Assert.Equal(0x1234, header.Identification);
        Assert.True(header.MoreFragments);
        Assert.Equal(0x1555 * 8, header.FragmentOffsetBytes);
        Assert.Equal(127, header.Ttl);
        Assert.Equal(IpProtocol.Udp, header.Protocol);
        Assert.Equal(0x0A00_0001u, header.Source);
        Assert.Equal(0x0A00_0002u, header.Destination);
        Assert.Equal(new byte[] { 0xBE, 0xEF }, header.Payload.ToArray());
    }

    [Fact]
    public void Quoted_packet_may_be_cut_behind_its_header()
    {
        byte[] packet = Packet.Udp("10.0.0.1:1", "10.0.0.2:2").Payload(100);
        Assert.Equal(DropReason.None, Ipv4Header.Parse(packet.AsSpan(0, 28), out Ipv4Header header, quoted: true));
        Assert.Equal(28, header.Length);
        Assert.Equal(DropReason.Truncated, Ipv4Header.Parse(packet.AsSpan(0, 19), out _, quoted: true));
    }
}
