using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class IcmpErrorNatTests
{
    private const string Client = "10.0.0.9:41000";
    private const string Frontend = "10.96.0.10:53";
    private const string Backend = "10.244.1.5:5353";
    private const string Snat = "192.168.0.1:61000";

    [Fact]
    public void Backend_that_refuses_a_datagram_speaks_as_the_frontend()
    {
        byte[] error = Packet.PortUnreachable("10.244.1.5", "10.0.0.9", Packet.Udp(Client, Backend).Payload("hello"));
        Assert.Equal(
            "10.96.0.10 > 10.0.0.9 icmp port unreachable (10.0.0.9:41000 > 10.96.0.10:53 udp) checksums ok",
            Translate(error, Client, Frontend));
    }

    [Fact]
    public void Router_before_the_backend_keeps_its_address()
    {
        byte[] error = Packet.PacketTooBig("10.7.7.7", "10.0.0.9", Packet.Tcp(Client, Backend).Payload(1400), 1400, quotedBytes: 28);
        Assert.Equal(
            "10.7.7.7 > 10.0.0.9 icmp fragmentation needed mtu 1400 (10.0.0.9:41000 > 10.96.0.10:53 tcp) checksums ok",
            Translate(error, Client, Frontend));
    }

    [Fact]
    public void Error_about_a_masqueraded_packet_finds_the_client()
    {
        byte[] error = Packet.PortUnreachable("10.244.1.5", "192.168.0.1", Packet.Udp(Snat, Backend).Payload("hello"));
        Assert.Equal(
            "10.96.0.10 > 10.0.0.9 icmp port unreachable (10.0.0.9:41000 > 10.96.0.10:53 udp) checksums ok",
            Translate(error, Client, Frontend));
    }

    [Fact]
    public void Router_before_the_client_reaches_the_backend()
    {
        byte[] error = Packet.PacketTooBig("10.7.7.7", "10.96.0.10", Packet.Udp(Frontend, Client).Payload(1400), 1300, quotedBytes: 36);
        Assert.Equal(
            "10.7.7.7 > 10.244.1.5 icmp fragmentation needed mtu 1300 (10.244.1.5:5353 > 10.0.0.9:41000 udp) checksums ok",
            Translate(error, Backend, Client));
    }

    [Fact]
    public void Client_that_refuses_a_masqueraded_reply_speaks_as_the_node()
    {
        byte[] error = Packet.PortUnreachable("10.0.0.9", "10.96.0.10", Packet.Udp(Frontend, Client).Payload("hello"));
        Assert.Equal(
            "192.168.0.1 > 10.244.1.5 icmp port unreachable (10.244.1.5:5353 > 192.168.0.1:61000 udp) checksums ok",
            Translate(error, Backend, Snat));
    }

    [Fact]
    public void Packet_too_big_of_IPv6_is_translated()
    {
        byte[] error = Packet.PacketTooBig("fd07::7", "fd00::9", Packet.Tcp("[fd00::9]:41000", "[fd44::5]:8080").Payload(1400), 1400);
        Assert.Equal(
            "fd07::7 > fd00::9 icmp6 packet too big mtu 1400 ([fd00::9]:41000 > [fd96::a]:80 tcp) checksums ok",
            Translate(error, "[fd00::9]:41000", "[fd96::a]:80"));
    }

    public static TheoryData<string, byte[]> NotUnderstood => new()
    {
        { "to somebody who did not send the packet", Packet.PortUnreachable("10.244.1.5", "10.0.0.8", Packet.Udp(Client, Backend)) },
        { "an error about an error", Packet.PortUnreachable("10.244.1.5", "10.0.0.9", Packet.TimeExceeded("10.0.0.9", "10.244.1.5", Packet.Udp(Backend, Client))) },
        { "seven bytes of transport", Packet.PortUnreachable("10.244.1.5", "10.0.0.9", Packet.Udp(Client, Backend), 27) },
        { "no packet at all", Packet.PortUnreachable("10.244.1.5", "10.0.0.9", []) },
        { "GRE", Packet.PortUnreachable("10.244.1.5", "10.0.0.9", Packet.Raw(47, "10.0.0.9", "10.244.1.5").Payload(8)) },
        { "a packet of the other family", Packet.PortUnreachable("10.244.1.5", "10.0.0.9", Packet.Udp("[fd00::9]:1", "[fd00::8]:2")) },
    };

    [Theory, MemberData(nameof(NotUnderstood))]
    public void Embedded_packet_is_refused(string because, byte[] error)
    {
        Assert.Equal(DropReason.None, PacketParser.Parse(error, out FlowTuple outer, out HeaderOffsets at));
        Assert.True(at.IsIcmpError);
        Assert.True(PacketParser.ParseEmbedded(error, at, outer, out _, out _) != DropReason.None, because);
    }

    [Fact]
    public void Random_errors_keep_every_checksum_right()
    {
        var packets = new RandomPackets(5508);
        for (int i = 0; i < 100_000; i++)
        {
            byte[] about = packets.Whole();
            byte[] error = packets.IcmpErrorAbout(about);
            Assert.Equal(DropReason.None, PacketParser.Parse(error, out FlowTuple outer, out HeaderOffsets at));
            Assert.Equal(DropReason.None, PacketParser.ParseEmbedded(error, at, outer, out FlowTuple embedded, out HeaderOffsets embeddedAt));
            FlowTuple translated = packets.Other(embedded);
            byte[] got = (byte[])error.Clone();

            FlowTuple to = IcmpErrorNat.Rewrite(got, at, outer, embeddedAt, embedded, translated, partialChecksum: false);

            byte[] recomputed = (byte[])got.Clone();
            ReferenceRewriter.CompleteChecksums(recomputed);
            string failure = $"case {i}, about {PacketText.Describe(about)}, to {translated}, got {Convert.ToHexString(got)}";
            Assert.True(recomputed.AsSpan().SequenceEqual(got), failure);

            Assert.Equal(DropReason.None, PacketParser.Parse(got, out FlowTuple gotOuter, out HeaderOffsets gotAt));
            Assert.Equal(DropReason.None, PacketParser.ParseEmbedded(got, gotAt, gotOuter, out FlowTuple gotEmbedded, out _));
            Assert.Equal(to, gotOuter);
            bool isPing = embedded.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
            Assert.Equal(isPing ? embedded with { Source = translated.Source, Destination = translated.Destination } : translated, gotEmbedded);

            AssertQuoted(about, gotEmbedded, got[at.EmbeddedOffset..], embedded, failure);
        }
    }

    /// <summary>The quoted bytes are the beginning of the packet as its sender would have written it.</summary>
    private static void AssertQuoted(byte[] about, FlowTuple translated, byte[] quoted, FlowTuple embedded, string failure)
    {
        // Checksums that the quote has not in full, or that cover what it may lack, stay as they are.
        int transport = ReferenceRewriter.TransportOffset(about, out _);
        bool isTcpCut = embedded.Protocol == IpProtocol.Tcp && quoted.Length < transport + 18;
        int until = embedded.Protocol is IpProtocol.Sctp or IpProtocol.IcmpV6 ? transport
            : isTcpCut ? Math.Min(quoted.Length, transport + 16)
            : quoted.Length;
        byte[] sent = ReferenceRewriter.Rewrite(about, translated);
        int hop = about[0] >> 4 == 4 ? 8 : 7;
        sent[hop] = about[hop]; // what is quoted has made its hops
        ReferenceRewriter.CompleteChecksums(sent);

        Assert.True(sent.AsSpan(0, until).SequenceEqual(quoted.AsSpan(0, until)), failure + ", want " + Convert.ToHexString(sent));
    }

    private static string Translate(byte[] error, string source, string destination)
    {
        Assert.Equal(DropReason.None, PacketParser.Parse(error, out FlowTuple outer, out HeaderOffsets at));
        Assert.Equal(DropReason.None, PacketParser.ParseEmbedded(error, at, outer, out FlowTuple embedded, out HeaderOffsets embeddedAt));
        (IpAddr sourceAddress, ushort sourcePort) = PacketBuilder.ParseEndpoint(source);
        (IpAddr destinationAddress, ushort destinationPort) = PacketBuilder.ParseEndpoint(destination);
        FlowTuple translated = new(sourceAddress, destinationAddress, sourcePort, destinationPort, embedded.Protocol);
        IcmpErrorNat.Rewrite(error, at, outer, embeddedAt, embedded, translated, partialChecksum: false);
        return PacketText.Describe(error);
    }
}
