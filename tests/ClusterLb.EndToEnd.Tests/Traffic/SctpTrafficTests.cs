using System.Buffers.Binary;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>SCTP through every way in, on real links: associations of crafted packets, which the kernel steers and tracks as anybody's.</summary>
public abstract class SctpTrafficTests(ExposedLabFixture fixture) : IDisposable
{
    private const string Own = "own address and port";
    private const string NodeA = "address of node-a";
    private static ushort s_lastPort = 20_000;

    private const uint ClientTag = 0xDEADBEEF;
    private const uint BackendTag = 0xCAFEBABE;

    // Chunks (RFC 9260, section 3.3): the handshake with the tags above, then data up and down.
    private static readonly string[] FromClient = ["01000014 DEADBEEF 0001A000 000A000A 00000001", "0A00000C 0102030405060708", "00030015 00000001 00000000 00000000 68656C6C6F000000"];
    private static readonly string[] FromBackend = ["02000020 CAFEBABE 0001A000 000A000A 00000007 0007000C 0102030405060708", "0B000004", "00030012 00000007 00000000 00000000 68690000"];

    /// <summary>From, way in, service, backend, which client address is seen.</summary>
    public static IEnumerable<object[]> Paths =>
        from row in ((string, string, string, string, string)[])
        [
            ("client-a", "ClusterIP", "sctp-a", "web-1", Own), ("client-a", "ClusterIP", "sctp-b", "web-3", Own), ("client-b", "ClusterIP", "sctp-a", "web-1", Own),
            ("node-a", "ClusterIP", "sctp-a", "web-1", NodeA), ("web-1", "ClusterIP", "sctp-a", "web-1", NodeA), // hairpin
            ("client", "NodePort", "sctp-a", "web-1", NodeA), ("client", "NodePort", "sctp-b", "web-3", NodeA), ("client-a", "NodePort", "sctp-b", "web-3", NodeA),
            ("client", "LoadBalancer", "sctp-b", "web-3", NodeA), ("client", "ExternalIP", "sctp-a", "web-1", NodeA), ("node-a", "LoadBalancer", "sctp-b", "web-3", NodeA),
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, row.Item3, row.Item4, row.Item5, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Paths))]
    public async Task An_association_is_set_up_and_carries_data_both_ways(string from, string kind, string service, string pod, string client, bool ipv6)
    {
        using var end = new SctpEndpoint(fixture.Lab.Namespace(from), ipv6);
        using var backend = new SctpEndpoint(fixture.Lab.Namespace(pod), ipv6);
        (IpAddr address, ushort port) = AddressOf(kind, service, ipv6, ExposedLabFixture.SctpPort);
        ushort clientPort = ++s_lastPort;
        SctpArrival? seen = null;
        for (int i = 0; i < FromClient.Length; i++)
        {
            byte[] up = Chunks(FromClient[i], clientPort);
            await end.SendAsync(address, clientPort, port, up);
            SctpArrival arrived = await backend.ReceiveAsync(up) ?? throw new Xunit.Sdk.XunitException($"packet {i} did not arrive at the backend");
            (end.PeerTag, backend.PeerTag) = (BackendTag, ClientTag);
            Assert.True(arrived.IsIntact);
            Assert.Equal(ExposedLabFixture.SctpTargetPort, arrived.DestinationPort);
            Assert.Equal(seen ?? arrived, arrived);
            seen = arrived;

            byte[] down = Chunks(FromBackend[i], clientPort);
            await backend.SendAsync(seen.From, ExposedLabFixture.SctpTargetPort, seen.SourcePort, down);
            SctpArrival answer = await end.ReceiveAsync(down) ?? throw new Xunit.Sdk.XunitException($"answer {i} did not arrive at the client");
            Assert.Equal(new SctpArrival(address, port, clientPort, IsIntact: true), answer);
        }

        LabNode node = fixture.Topology.Node("node-a");
        IpAddr own = from == "node-a" ? (ipv6 ? node.Ipv6 : node.Ipv4) : from == LabTopology.ClientName
            ? (ipv6 ? LabTopology.ClientIpv6 : LabTopology.ClientIpv4)
            : (ipv6 ? fixture.Topology.Pod(from).Ipv6 : fixture.Topology.Pod(from).Ipv4);
        Assert.Equal(client == Own ? own : (ipv6 ? node.Ipv6 : node.Ipv4), seen!.From);
    }

    [LabTheory]
    [InlineData("client-a", "sctp-a", "web-1", false)]
    [InlineData("client-a", "sctp-a", "web-1", true)]
    [InlineData("client-a", "sctp-b", "web-3", false)]
    [InlineData("client-a", "sctp-b", "web-3", true)]
    public async Task Large_packets_go_through_where_the_ports_stay_and_are_dropped_and_counted_where_they_change(string from, string service, string pod, bool ipv6)
    {
        using var end = new SctpEndpoint(fixture.Lab.Namespace(from), ipv6);
        using var backend = new SctpEndpoint(fixture.Lab.Namespace(pod), ipv6);
        byte[] large = new byte[4_000];
        (large[0], large[1]) = (0, 3); // DATA, all of a message
        BinaryPrimitives.WriteUInt16BigEndian(large.AsSpan(2), (ushort)large.Length);

        foreach ((ushort port, bool stays) in ((ushort, bool)[])[(ExposedLabFixture.SctpTargetPort, true), (ExposedLabFixture.SctpPort, false)])
        {
            (IpAddr address, _) = AddressOf("ClusterIP", service, ipv6, port);
            (end.PeerTag, backend.PeerTag) = (0, 0);
            ushort clientPort = ++s_lastPort;
            SctpArrival? seen = null;
            for (int i = 0; i < FromClient.Length; i++)
            {
                byte[] up = Chunks(FromClient[i], clientPort);
                await end.SendAsync(address, clientPort, port, up);
                seen = Assert.IsType<SctpArrival>(await backend.ReceiveAsync(up));
                (end.PeerTag, backend.PeerTag) = (BackendTag, ClientTag);
                byte[] down = Chunks(FromBackend[i], clientPort);
                await backend.SendAsync(seen.From, ExposedLabFixture.SctpTargetPort, seen.SourcePort, down);
                Assert.NotNull(await end.ReceiveAsync(down));
            }

            new Random(clientPort).NextBytes(large.AsSpan(16));
            ulong dropped = fixture.Counters("node-a").Drops(DropReason.SctpFragment);
            await end.SendAsync(address, clientPort, port, large);
            if (stays)
            {
                Assert.True(Assert.IsType<SctpArrival>(await backend.ReceiveAsync(large)).IsIntact);
                await backend.SendAsync(seen!.From, ExposedLabFixture.SctpTargetPort, seen.SourcePort, large);
                Assert.Equal(new SctpArrival(address, port, clientPort, IsIntact: true), await end.ReceiveAsync(large));
            }
            else
            {
                await Eventually.IsAsync("it was dropped and counted", () => fixture.Counters("node-a").Drops(DropReason.SctpFragment) > dropped);
            }
        }
    }

    private (IpAddr Address, ushort Port) AddressOf(string kind, string service, bool ipv6, ushort port) => kind == "ClusterIP"
        ? (fixture.Topology.Service(service).ClusterIp(ipv6), port)
        : (fixture.AddressOf(kind, service, ipv6), (ushort)fixture.PortOf(kind, service, port));

    /// <summary>A chunk, with the client's port in its last bytes: each association's are its own.</summary>
    private static byte[] Chunks(string hex, ushort clientPort)
    {
        byte[] bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        byte[] heartbeat = [4, 0, 0, 12, 0, 1, 0, 8, 0, 0, (byte)(clientPort >> 8), (byte)clientPort];
        return bytes[0] is 1 or 2 ? WithParameter(bytes, clientPort) : [.. bytes, .. heartbeat];
    }

    /// <summary>INIT and INIT ACK travel alone (RFC 9260, section 6.10): their mark is a parameter, of a number that nobody knows.</summary>
    private static byte[] WithParameter(byte[] init, ushort mark)
    {
        byte[] longer = [.. init, 0xC0, 0x77, 0, 8, 0, 0, (byte)(mark >> 8), (byte)mark];
        BinaryPrimitives.WriteUInt16BigEndian(longer.AsSpan(2), (ushort)longer.Length);
        return longer;
    }
}

[Collection(ExposedLabCollection.Name)]
public sealed class SctpTraffic_with_offloads(ExposedLabFixture fixture) : SctpTrafficTests(fixture);

[Collection(PlainExposedLabCollection.Name)]
public sealed class SctpTraffic_without_offloads(PlainExposedLabFixture fixture) : SctpTrafficTests(fixture);

[Collection(BridgedExposedLabCollection.Name)]
public sealed class SctpTraffic_with_bridged_pods(BridgedExposedLabFixture fixture) : SctpTrafficTests(fixture);
