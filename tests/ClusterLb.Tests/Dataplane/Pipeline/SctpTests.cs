using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>SCTP, on crafted packets: the kernels we test on have no such sockets. Every packet that comes out is compared with one that was
/// written for its new addresses and ports, checksum and all (RFC 9260, section 6.8 and appendix A).</summary>
public sealed class SctpTests
{
    // Chunks (RFC 9260, section 3.3), to the byte: INIT, INIT ACK with a cookie, COOKIE ECHO, DATA, SACK, SHUTDOWN.
    private static readonly string[] FromClient =
    [
        "01000014 DEADBEEF 0001A000 000A000A 00000001",
        "0A00000C 0102030405060708",
        "00030015 00000001 00000000 00000000 68656C6C6F000000",
        "03000010 00000007 0001A000 00000000",
        "07000008 00000007",
    ];

    private static readonly string[] FromBackend =
    [
        "02000020 CAFEBABE 0001A000 000A000A 00000007 0007000C 0102030405060708",
        "0B000004",
        "03000010 00000001 0001A000 00000000",
        "00030012 00000007 00000000 00000000 68690000",
        "08000004",
    ];

    [Theory]
    [InlineData("10.244.0.9:41000", "10.96.0.10:7", "10.244.1.5:9", ServiceFlags.None, "10.244.0.9:41000")]
    [InlineData("[fd00:10:244::9]:41000", "[fd00:10:96::a]:7", "[fd00:10:244:1::5]:9", ServiceFlags.None, "[fd00:10:244::9]:41000")]
    [InlineData("203.0.113.7:5000", "192.168.0.2:30007", "10.244.1.5:9", ServiceFlags.NodePort, "192.168.0.2:5000")]
    [InlineData("[2001:db8::7]:5000", "[fd00:192::2]:30007", "[fd00:10:244:1::5]:9", ServiceFlags.NodePort, "[fd00:192::2]:5000")]
    [InlineData("203.0.113.7:41000", "192.168.0.2:30007", "10.244.1.5:9", ServiceFlags.NodePort, "192.168.0.2:61000")] // another port, too
    [InlineData("203.0.113.7:41000", "198.51.100.1:7", "10.244.1.5:9", ServiceFlags.LoadBalancer, "192.168.0.2:61000")]
    [InlineData("203.0.113.7:41000", "198.51.100.1:7", "10.244.1.5:9", ServiceFlags.LoadBalancer | ServiceFlags.ExternalLocalScope, "203.0.113.7:41000")]
    public void An_association_is_translated_in_both_directions_to_the_byte(string client, string frontend, string backend, ServiceFlags flags, string seen)
    {
        using PipelineFixture lb = new PipelineFixture(random: new FirstOfAll()).WithService($"{frontend}/SCTP", flags, backend);
        for (int i = 0; i < FromClient.Length; i++)
        {
            Same(Packet.Sctp(seen, backend), FromClient[i], lb, Packet.Sctp(client, frontend));
            Same(Packet.Sctp(frontend, client), FromBackend[i], lb, Packet.Sctp(backend, seen));
        }

        Assert.Equal("ASSURED", Assert.Single(lb.List()).State);
    }

    [Fact]
    public void A_service_of_another_protocol_at_the_same_port_is_another_service()
    {
        using PipelineFixture lb = new PipelineFixture()
            .WithService("192.168.0.2:30007/SCTP", ServiceFlags.NodePort, "10.244.1.5:9")
            .WithService("192.168.0.2:30007/TCP", ServiceFlags.NodePort, "10.244.1.6:9")
            .WithService("192.168.0.2:30007/UDP", ServiceFlags.NodePort, "10.244.1.7:9");

        Assert.Contains("> 10.244.1.5:9 ", lb.Send(Packet.Sctp("203.0.113.7:5000", "192.168.0.2:30007").Payload(8)));
        Assert.Contains("> 10.244.1.6:9 ", lb.Send(Packet.Tcp("203.0.113.7:5000", "192.168.0.2:30007").Syn()));
        Assert.Contains("> 10.244.1.7:9 ", lb.Send(Packet.Udp("203.0.113.7:5000", "192.168.0.2:30007")));
        Assert.Equal(3, lb.Flows.Count);
    }

    [Fact]
    public void Two_services_with_one_backend_dialled_from_one_port_are_told_apart_by_another_port()
    {
        using PipelineFixture lb = new PipelineFixture(random: new FirstOfAll())
            .WithService("10.96.0.10:7/SCTP", "10.244.1.5:9").WithService("10.96.0.11:7/SCTP", "10.244.1.5:9");
        Same(Packet.Sctp("10.244.0.9:41000", "10.244.1.5:9"), FromClient[0], lb, Packet.Sctp("10.244.0.9:41000", "10.96.0.10:7"));
        Same(Packet.Sctp("10.244.0.9:61000", "10.244.1.5:9"), FromClient[0], lb, Packet.Sctp("10.244.0.9:41000", "10.96.0.11:7"));
        Same(Packet.Sctp("10.96.0.11:7", "10.244.0.9:41000"), FromBackend[0], lb, Packet.Sctp("10.244.1.5:9", "10.244.0.9:61000"));
        Same(Packet.Sctp("10.96.0.10:7", "10.244.0.9:41000"), FromBackend[0], lb, Packet.Sctp("10.244.1.5:9", "10.244.0.9:41000"));
    }

    [Fact]
    public void An_association_stays_with_a_backend_that_left_and_is_refused_where_there_is_none()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:7/SCTP", "10.244.1.5:9");
        lb.Send(Packet.Sctp("10.244.0.9:41000", "10.96.0.10:7").Payload(8));
        lb.Send(Packet.Sctp("10.244.1.5:9", "10.244.0.9:41000").Payload(8));
        lb.WithService("10.96.0.10:7/SCTP").WithoutBackend("10.96.0.10:7/SCTP", "10.244.1.5:9");

        Assert.Empty(lb.LookForOrphans()); // R34: neither TCP's ways nor UDP's
        Assert.Contains("> 10.244.1.5:9 ", lb.Send(Packet.Sctp("10.244.0.9:41000", "10.96.0.10:7").Payload(8)));
        Assert.Contains("port unreachable", lb.Send(Packet.Sctp("10.244.0.9:41001", "10.96.0.10:7").Payload(8)));
        Assert.Equal(DropReason.NoBackend, lb.Meta.DropReason);
    }

    [Fact]
    public void Any_packet_of_any_length_comes_out_with_the_checksum_of_the_reference()
    {
        var packets = new RandomPackets(9260);
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:7/SCTP", "10.244.1.5:9").WithService("[fd00:10:96::a]:7/SCTP", "[fd00:10:244:1::5]:9");
        for (int length = 0; length < 1_400; length += 13)
        {
            byte[] payload = packets.Bytes(length);
            foreach ((string client, string frontend) in (ReadOnlySpan<(string, string)>)
                [("10.244.0.9:41000", "10.96.0.10:7"), ("[fd00:10:244::9]:41000", "[fd00:10:96::a]:7")])
            {
                lb.Send(Packet.Sctp(client, frontend).Payload(payload));
                byte[] sctp = lb.Written[(lb.Written[0] >> 4 == 4 ? 20 : 40)..];
                uint found = BinaryPrimitives.ReadUInt32LittleEndian(sctp.AsSpan(8));
                sctp.AsSpan(8, 4).Clear();
                Assert.True(found == ReferenceChecksum.Crc32c(sctp), $"{length} bytes to {frontend}");
                Assert.Equal(payload, sctp[12..]);
            }
        }
    }

    /// <summary>What goes in as <paramref name="given"/> comes out as <paramref name="wanted"/>, but for the TTL.</summary>
    private static void Same(PacketBuilder wanted, string chunk, PipelineFixture lb, PacketBuilder given)
    {
        byte[] bytes = Convert.FromHexString(chunk.Replace(" ", "", StringComparison.Ordinal));
        lb.Send(given.Payload(bytes));
        byte[] want = wanted.Payload(bytes).ToBytes();
        int header = want[0] >> 4 == 4 ? 20 : 40;
        Assert.Equal(Convert.ToHexString(want[header..]), Convert.ToHexString(lb.Written[header..])); // ports, tag, CRC32c, chunks
        Assert.Equal(Convert.ToHexString(want[(header == 20 ? 12 : 8)..header]), Convert.ToHexString(lb.Written[(header == 20 ? 12 : 8)..header])); // addresses
        Assert.Contains("checksums ok", PacketTextOf(lb), StringComparison.Ordinal);
    }

    private static string PacketTextOf(PipelineFixture lb) => ClusterLb.Dataplane.Packets.PacketText.Describe(lb.Written, partialChecksum: false);

    /// <summary>Always chooses the first.</summary>
    private sealed class FirstOfAll : ClusterLb.Dataplane.Pipeline.RandomSource
    {
        public override uint Next() => 0;
    }
}
