using ClusterLb.Agent.Replay;
using ClusterLb.Dataplane.Tun;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Agent.Replay;

public sealed class PcapReaderTests
{
    private static readonly byte[] Ipv4 = Packet.Udp("10.0.0.1:1", "10.0.0.2:2").Payload("four");
    private static readonly byte[] Ipv6 = Packet.Udp("[fd00::1]:1", "[fd00::2]:2").Payload("six");

    public static TheoryData<int, bool, bool> Kinds
    {
        get
        {
            var kinds = new TheoryData<int, bool, bool>();
            foreach (int linkType in (ReadOnlySpan<int>)[1, 12, 101, 113, 276])
            {
                kinds.Add(linkType, false, false);
                kinds.Add(linkType, true, false);
                kinds.Add(linkType, false, true);
                kinds.Add(linkType, true, true);
            }

            return kinds;
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Packets_and_times_are_read_in_either_byte_order_and_unit_from_every_link_type(int linkType, bool isBigEndian, bool hasNanoseconds)
    {
        byte[] file = new PcapBuilder(linkType, isBigEndian, hasNanoseconds).Add(Ipv4, 1000.25).Add(Ipv6, 1001.5).ToBytes();
        using var reader = new PcapReader(new MemoryStream(file));

        CapturedPacket first = reader.Read()!;
        CapturedPacket second = reader.Read()!;

        Assert.Equal((1_000_250_000_000, false), (first.TimeNs, first.IsCut));
        Assert.Equal(Ipv4, first.Packet);
        Assert.Equal(1_001_500_000_000, second.TimeNs);
        Assert.Equal(Ipv6, second.Packet);
        Assert.Null(reader.Read());
    }

    [Fact]
    public void A_VLAN_tag_is_skipped_and_what_is_no_IP_packet_comes_as_nothing()
    {
        byte[] file = new PcapBuilder(linkType: 1).Add(Ipv4, vlan: true).Add([0, 1, 8, 0], etherType: 0x0806).Add([1], captured: 3).ToBytes();
        using var reader = new PcapReader(new MemoryStream(file));

        Assert.Equal(Ipv4, reader.Read()!.Packet);
        Assert.Empty(reader.Read()!.Packet);
        Assert.Equal((0, true), (reader.Read() is { } cut ? cut.Packet.Length : -1, true));
    }

    [Fact]
    public void A_packet_of_which_only_the_beginning_was_captured_says_so()
    {
        using var reader = new PcapReader(new MemoryStream(new PcapBuilder().Add(Ipv4, captured: 24).ToBytes()));

        CapturedPacket packet = reader.Read()!;
        Assert.True(packet.IsCut);
        Assert.Equal(24, packet.Packet.Length);
    }

    [Fact]
    public void What_the_writer_writes_is_read()
    {
        var file = new MemoryStream();
        using (var writer = new PcapWriter(file))
        {
            writer.Write(Ipv6, 1_700_000_000_123_456_789);
        }

        using var reader = new PcapReader(new MemoryStream(file.ToArray()));
        CapturedPacket packet = reader.Read()!;
        Assert.Equal(1_700_000_000_123_456_789, packet.TimeNs);
        Assert.Equal(Ipv6, packet.Packet);
    }

    public static TheoryData<string, byte[], string> Unreadable
    {
        get
        {
            byte[] good = new PcapBuilder().Add(Ipv4).ToBytes();
            byte[] huge = (byte[])good.Clone();
            huge[24 + 10] = 0xFF; // of the captured length
            return new TheoryData<string, byte[], string>
            {
                { "an empty file", [], "it is no pcap file" },
                { "text", "Hello, world, and all its people"u8.ToArray(), "it is no pcap file" },
                { "pcapng", [0x0a, 0x0d, 0x0d, 0x0a, .. new byte[28]], "it is a pcapng file" },
                { "half a header", good[..20], "it ends within its header" },
                { "a link type of radio", new PcapBuilder(linkType: 127).ToBytes(), "its link type is 127" },
                { "half a record header", good[..30], "it ends within the header of packet 1" },
                { "half a packet", good[..^1], "it ends within packet 1" },
                { "a record of 16 million bytes", huge, "packet 1 claims to have" },
            };
        }
    }

    [Theory, MemberData(nameof(Unreadable))]
    public void What_cannot_be_read_is_refused_with_the_reason(string what, byte[] file, string reason)
    {
        PcapException e = Assert.Throws<PcapException>(() =>
        {
            using var reader = new PcapReader(new MemoryStream(file));
            reader.Read();
        });
        Assert.True(e.Message.StartsWith(reason, StringComparison.Ordinal), $"{what}: {e.Message}");
    }
}
