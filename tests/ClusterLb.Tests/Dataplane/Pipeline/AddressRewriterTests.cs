using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class AddressRewriterTests
{
    private const int Seed = 20_260;

    [Fact]
    public void Rewrite_matches_the_reference()
    {
        var packets = new RandomPackets(Seed);
        for (int i = 0; i < 150_000; i++)
        {
            byte[] packet = packets.Whole();
            (FlowTuple to, byte[] got) = RewriteToOther(packets, packet, partialChecksum: false);
            AssertSame(ReferenceRewriter.Rewrite(packet, to), got, i, packet, to);
        }
    }

    [Fact]
    public void Partial_checksum_is_right_once_the_device_has_completed_it()
    {
        var packets = new RandomPackets(Seed + 1);
        for (int i = 0; i < 150_000; i++)
        {
            byte[] packet = packets.Whole().PartialChecksum();
            (FlowTuple to, byte[] got) = RewriteToOther(packets, packet, partialChecksum: true);
            AssertSame(ReferenceRewriter.Rewrite(ReferenceRewriter.Complete(packet), to), ReferenceRewriter.Complete(got), i, packet, to);
        }
    }

    [Theory]
    [InlineData("10.0.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080")]
    [InlineData("[fd00::9]:41000", "[fd96::a]:80", "[fd44::5]:8080")]
    public void Damaged_packet_stays_damaged(string client, string frontend, string backend)
    {
        PacketBuilder[] damaged =
        [
            Packet.Tcp(client, frontend).Push("hello").WrongChecksum(),
            Packet.Udp(client, frontend).Payload("hello").WrongChecksum(),
            Packet.Sctp(client, frontend).Payload(16).WrongChecksum(),
        ];
        foreach (byte[] packet in damaged)
        {
            Assert.EndsWith("checksums bad", PacketText.Describe(Translate(packet, client, backend)));
        }
    }

    [Theory]
    [InlineData("10.0.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080")]
    [InlineData("[fd00::9]:41000", "[fd96::a]:80", "[fd44::5]:8080")]
    public void Udp_without_checksum_stays_without(string client, string frontend, string backend)
    {
        byte[] packet = Translate(Packet.Udp(client, frontend).Payload("hello").NoChecksum(), client, backend);
        Assert.Equal($"{client} > {backend} udp 5 bytes checksums none", PacketText.Describe(packet));
    }

    [Fact]
    public void Udp_checksum_never_becomes_zero()
    {
        // Of all ports one makes the sum 0xFFFF, whose complement would say "no checksum".
        byte[] packet = Packet.Udp("10.0.0.9:41000", "10.96.0.10:80").Payload("hello");
        bool wasSeen = false;
        for (int port = 0; port <= ushort.MaxValue; port++)
        {
            byte[] got = Translate((byte[])packet.Clone(), $"10.0.0.9:{port}", "10.244.1.5:8080");
            Assert.False(got[26] == 0 && got[27] == 0, $"port {port}");
            wasSeen |= got[26] == 0xFF && got[27] == 0xFF;
        }

        Assert.True(wasSeen);
    }

    [Fact]
    public void Sctp_without_checksum_stays_without()
    {
        byte[] packet = Packet.Sctp("10.0.0.9:41000", "10.96.0.10:80").Payload(16).NoChecksum();
        Assert.Equal(
            "10.0.0.9:41000 > 10.244.1.5:8080 sctp 16 bytes checksums none",
            PacketText.Describe(Translate(packet, "10.0.0.9:41000", "10.244.1.5:8080")));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(254, 255)]
    [InlineData(255, 255)]
    public void Detour_costs_no_hop(byte before, byte after)
    {
        byte[] v4 = Translate(Packet.Tcp("10.0.0.9:1", "10.96.0.10:2").Ttl(before), "10.0.0.9:1", "10.244.1.5:3");
        byte[] v6 = Translate(Packet.Tcp("[fd00::9]:1", "[fd96::a]:2").Ttl(before), "[fd00::9]:1", "[fd44::5]:3");
        Assert.Equal((after, after), (v4[8], v6[7]));
        Assert.EndsWith("checksums ok", PacketText.Describe(v4));
    }

    [Theory]
    [InlineData("10.0.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080")]
    [InlineData("[fd00::9]:41000", "[fd96::a]:80", "[fd44::5]:8080")]
    public void Fragments_are_right_when_put_together_again(string client, string frontend, string backend)
    {
        PacketBuilder whole = Packet.Udp(client, frontend).Payload(1000);
        byte[] expected = Packet.Udp(client, backend).Payload(1000);
        byte[] joined = [.. whole.Fragments(304, 77).SelectMany(fragment =>
        {
            byte[] got = Translate(fragment, client, backend);
            Assert.Equal(DropReason.None, PacketParser.Parse(got, out FlowTuple tuple, out HeaderOffsets at));
            Assert.Equal(77u, at.FragmentId);
            Assert.Equal(PacketBuilder.ParseEndpoint(backend).Address, tuple.Destination);
            return got[at.TransportOffset..];
        })];

        int transport = ReferenceRewriter.TransportOffset(expected, out _);
        Assert.Equal(Convert.ToHexString(expected[transport..]), Convert.ToHexString(joined));
    }

    [Fact]
    public void Super_packet_is_rewritten_like_any_other()
    {
        byte[] packet = Packet.Tcp("10.0.0.9:41000", "10.96.0.10:80").Payload(65535 - 40).PartialChecksum();
        byte[] got = Translate((byte[])packet.Clone(), "10.0.0.9:41000", "10.244.1.5:8080", partialChecksum: true);
        Assert.Equal("10.0.0.9:41000 > 10.244.1.5:8080 tcp [.] 65495 bytes checksums partial", PacketText.Describe(got, true));
        Assert.Equal("10.0.0.9:41000 > 10.244.1.5:8080 tcp [.] 65495 bytes checksums ok", PacketText.Describe(ReferenceRewriter.Complete(got)));
    }

    private static byte[] Translate(byte[] packet, string source, string destination, bool partialChecksum = false)
    {
        Assert.Equal(DropReason.None, PacketParser.Parse(packet, out FlowTuple from, out HeaderOffsets at));
        (IpAddr sourceAddress, ushort sourcePort) = PacketBuilder.ParseEndpoint(source);
        (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(destination);
        AddressRewriter.Rewrite(packet, at, from, new(sourceAddress, address, sourcePort, port, from.Protocol), partialChecksum);
        return packet;
    }

    private static (FlowTuple To, byte[] Got) RewriteToOther(RandomPackets packets, byte[] packet, bool partialChecksum)
    {
        var got = (byte[])packet.Clone();
        Assert.Equal(DropReason.None, PacketParser.Parse(got, out FlowTuple from, out HeaderOffsets at));
        FlowTuple to = packets.Other(from);
        AddressRewriter.Rewrite(got, at, from, to, partialChecksum);
        return (to, got);
    }

    private static void AssertSame(byte[] want, byte[] got, int i, byte[] packet, FlowTuple to)
    {
        if (!want.AsSpan().SequenceEqual(got))
        {
            Assert.Fail($"case {i}, {PacketText.Describe(packet)}, to {to}\nwas  {Hex(packet)}\nwant {Hex(want)}\ngot  {Hex(got)}");
        }
    }

    private static string Hex(byte[] bytes) => Convert.ToHexString(bytes);
}
