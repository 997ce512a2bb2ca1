using System.Buffers.Binary;
using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>
/// Floods of forged packets fill every table while others talk: no established flow is lost, and new ones still begin.
/// CLUSTERLB_FLOOD_PACKETS says how many forged packets; <c>make soak</c> asks for millions.
/// </summary>
public sealed class FloodTests
{
    private const string Web = "10.96.0.10:80";
    private const string Dns = "10.96.0.10:53";
    private const int DefaultPackets = 100_000;
    private const int Established = 1_000;
    private const int Capacity = 8_192;
    private const int PacketsPerMs = 100;

    private static readonly string[] Backends = ["10.244.1.5", "10.244.1.6", "10.244.1.7"];

    private static int Packets =>
        int.TryParse(Environment.GetEnvironmentVariable("CLUSTERLB_FLOOD_PACKETS"), CultureInfo.InvariantCulture, out int count) ? count : DefaultPackets;

    public static TheoryData<string, bool> Floods => new()
    {
        { "SYNs that nobody answers", false },
        { "SYNs that backends answer", true },
        { "datagrams that nobody answers", false },
        { "datagrams that backends answer", true },
    };

    [Theory, MemberData(nameof(Floods))]
    public void Established_flows_live_and_new_ones_begin_while_a_flood_fills_the_table(string flood, bool isAnswered)
    {
        using PipelineFixture lb = Fixture();
        var forger = new Forger(lb, isUdp: flood.StartsWith("datagrams", StringComparison.Ordinal), isAnswered);
        Dictionary<string, string> established = [];
        for (int i = 0; i < Established; i++)
        {
            string client = $"10.244.{2 + (i / 250)}.{1 + (i % 250)}:4{i:0000}";
            established.Add(client, Connect(lb, client, isUdp: i % 4 == 0));
        }

        string[] clients = [.. established.Keys];
        int begun = 0;
        for (int i = 0; i < Packets; i++)
        {
            lb.NowMs += i % PacketsPerMs == 0 ? 1 : 0;
            lb.Flows.Sweep(lb.NowMs, 512);
            forger.Send();
            if (i % 10 == 0)
            {
                // All of them speak in turn, every ten seconds of the flood at the most.
                string client = clients[i / 10 % clients.Length];
                Speak(lb, client, established[client], isUdp: i / 10 % clients.Length % 4 == 0);
            }

            if (i % 1_000 == 500)
            {
                // Half a table of forged packets lies between question and answer, as with a table of the usual size and a round trip of 0.1 s.
                string fresh = $"10.244.9.9:{1_024 + (begun++ % 20_000)}";
                Connect(lb, fresh, isUdp: begun % 2 == 0, () =>
                {
                    for (int more = 0; more < Capacity / 2; more++)
                    {
                        forger.Send();
                    }
                });
            }
        }

        Assert.All(established, flow => Speak(lb, flow.Key, flow.Value, isUdp: Array.IndexOf(clients, flow.Key) % 4 == 0));
        Assert.True(lb.Flows.Evicted > 0, "the table was never full");
        // Not one in ten thousand is refused, when both buckets of a tuple happen to be full.
        Assert.InRange(lb.Counters.Drops(DropReason.ConntrackFull), 0UL, lb.Counters.NewFlows / 10_000);
    }

    [Fact]
    public void A_table_full_of_established_flows_refuses_new_ones_and_loses_none()
    {
        using PipelineFixture lb = Fixture(capacity: 1_024);
        var flows = new Dictionary<string, string>();
        for (int i = 0; i < 1_024; i++)
        {
            string client = $"10.244.{2 + (i / 250)}.{1 + (i % 250)}:41000";
            flows.Add(client, Connect(lb, client, isUdp: false));
        }

        for (int i = 0; i < 2_000; i++)
        {
            Assert.Equal("drop: ConntrackFull", lb.Send(Packet.Tcp($"10.244.7.{1 + (i % 250)}:{1_024 + i}", Web).Syn()));
        }

        Assert.Equal(2_000UL, lb.Counters.Drops(DropReason.ConntrackFull));
        Assert.Equal(0, lb.Flows.Evicted);
        Assert.All(flows, flow => Speak(lb, flow.Key, flow.Value, isUdp: false));

        // As soon as some have ended, others begin, without waiting until what has ended is forgotten.
        foreach ((string client, string way) in flows.Take(200))
        {
            lb.Send(Packet.Tcp(client, Web).Fin());
            lb.Send(Packet.Tcp(way.Split(' ')[0], client).Fin());
        }

        for (int i = 0; i < 100; i++)
        {
            Connect(lb, $"10.244.8.{1 + i}:41000", isUdp: false);
        }

        Assert.Equal(100, lb.Flows.Evicted);
        Assert.All(flows.Skip(200), flow => Speak(lb, flow.Key, flow.Value, isUdp: false));
    }

    [Fact]
    public void A_flood_of_first_fragments_pushes_out_its_own_and_real_datagrams_arrive_whole()
    {
        using PipelineFixture lb = Fixture(fragments: 256);
        var forger = new Forger(lb, isUdp: true, isAnswered: false, question: Packet.Udp("20.0.0.1:1", Dns).Payload(300).Fragments(104)[0]);
        for (int i = 0; i < 5_000; i++)
        {
            lb.NowMs++; // the oldest must be known by its time
            forger.Send();
            if (i % 10 != 0)
            {
                continue;
            }

            IReadOnlyList<byte[]> datagram = Packet.Udp($"10.244.2.{1 + (i / 10 % 250)}:4053", Dns).Payload(300).Fragments(104, id: (uint)(1 + i));
            foreach (byte[] fragment in datagram)
            {
                lb.Send(fragment);
                Assert.True(lb.Verdict == Verdict.Forward, $"datagram {i}: {lb.Meta.DropReason}");
                forger.Send(); // fewer than a bucket has places
            }
        }

        Assert.True(lb.Counters.EvictedFragments > 0, "the table was never full");
        Assert.InRange(lb.Flows.FragmentCount, 0, 256);
        Assert.Equal(0UL, lb.Counters.Drops(DropReason.FragmentWithoutFirst));

        lb.Later(TimeSpan.FromSeconds(6)); // what is forged is forgotten by itself
        for (int i = 0; i < 10_000; i++)
        {
            lb.NowMs++;
            lb.Flows.Sweep(lb.NowMs, 512);
        }

        Assert.Equal(0, lb.Flows.FragmentCount);
    }

    [Fact]
    public void Source_ports_that_a_flood_of_SYNs_holds_are_had_by_whoever_comes_later()
    {
        using PipelineFixture lb = new PipelineFixture(
            flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 131_072, Ipv6 = 64, Workers = 1 }), random: new FastRandomSource(1))
            .WithService("192.168.0.2:30080/TCP", ServiceFlags.NodePort, "10.244.1.5:8080");
        var forger = new Forger(lb, isUdp: false, isAnswered: false, "192.168.0.2:30080");
        for (int i = 0; i < SnatPortRanges.Default.Count * 2; i++)
        {
            forger.Send();
        }

        string honest = "198.51.100.7:5000";
        Assert.Equal("drop: SnatPortsExhausted", lb.Send(Packet.Tcp(honest, "192.168.0.2:30080").Syn()));

        lb.Later(TimeSpan.FromSeconds(4)); // longer than a handshake takes

        string forwarded = lb.Send(Packet.Tcp(honest, "192.168.0.2:30080").Syn());
        Assert.EndsWith(" > 10.244.1.5:8080 tcp [S] checksums ok", forwarded);
        string node = forwarded.Split(' ')[0];
        Assert.StartsWith($"192.168.0.2:30080 > {honest} ", lb.Send(Packet.Tcp("10.244.1.5:8080", node).SynAck()));
        Assert.Equal(1, lb.Flows.Evicted);
    }

    [Fact]
    public void Source_ports_of_flows_that_came_to_something_are_not_taken()
    {
        using PipelineFixture lb = new PipelineFixture(
            flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 131_072, Ipv6 = 64, Workers = 1 }), random: new FastRandomSource(1))
            .WithService("192.168.0.2:30053/UDP", ServiceFlags.NodePort, "10.244.1.5:5353");
        for (int i = 0; i < SnatPortRanges.Default.Count; i++)
        {
            string client = $"203.{i >> 16}.{(i >> 8) & 0xFF}.{i & 0xFF}:2000";
            string node = lb.Send(Packet.Udp(client, "192.168.0.2:30053")).Split(' ')[0];
            lb.Send(Packet.Udp("10.244.1.5:5353", node));
        }

        lb.Later(TimeSpan.FromSeconds(100));

        for (int i = 0; i < 100; i++)
        {
            Assert.Equal("drop: SnatPortsExhausted", lb.Send(Packet.Udp($"198.51.100.{i}:2000", "192.168.0.2:30053")));
        }

        Assert.Equal(0, lb.Flows.Evicted);
    }

    [Fact]
    public void A_flood_of_clients_unpins_those_who_were_silent_longest_and_cuts_nobody()
    {
        using PipelineFixture lb = Fixture(affinitySeconds: 10_800);
        string regular = "10.244.5.5";
        string backend = Connect(lb, $"{regular}:1024", isUdp: false);
        var forger = new Forger(lb, isUdp: false, isAnswered: false);
        for (int i = 1; i <= 20_000; i++)
        {
            lb.NowMs += i % PacketsPerMs == 0 ? 1_000 : 0; // times are kept to the second
            forger.Send();
            if (i % 500 == 0)
            {
                // Comes again before its bucket of the table is filled by others: it stays.
                Assert.Equal(backend.Split(' ')[0], Connect(lb, $"{regular}:{1_024 + (i / 500)}", isUdp: false).Split(' ')[0]);
            }
        }

        Assert.True(lb.Flows.AffinityEvicted > 0, "the affinity table was never full");
        Speak(lb, $"{regular}:1024", backend, isUdp: false);
    }

    private static PipelineFixture Fixture(int capacity = Capacity, uint affinitySeconds = 0, int fragments = 8_192) => new PipelineFixture(
        flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = capacity, Ipv6 = 64, Workers = 1, Affinity = 4_096, Fragments = fragments }),
        random: new FastRandomSource(7))
    { AffinitySeconds = affinitySeconds }
        .WithService($"{Web}/TCP", [.. Backends.Select(backend => $"{backend}:8080")])
        .WithService($"{Dns}/UDP", [.. Backends.Select(backend => $"{backend}:5353")]);

    /// <summary>A client begins, and goes on once it was answered.</summary>
    /// <returns>As the backend sees it: backend, client.</returns>
    private static string Connect(PipelineFixture lb, string client, bool isUdp, Action? meanwhile = null)
    {
        for (int attempt = 0; attempt == 0 || (attempt < 3 && lb.Meta.DropReason == DropReason.ConntrackFull); attempt++)
        {
            lb.Send(isUdp ? Packet.Udp(client, Dns) : Packet.Tcp(client, Web).Syn()); // as clients do, the first one may be lost
        }

        Assert.True(lb.Verdict == Verdict.Forward, $"{client}: {lb.Meta.DropReason}");
        FlowTuple answer = lb.Meta.Translated.Reverse;
        meanwhile?.Invoke();
        lb.Send(isUdp ? Packet.Of(answer) : Packet.Of(answer).SynAck());
        Assert.True(lb.Verdict == Verdict.Forward, $"the answer to {client}: {lb.Meta.DropReason}");
        lb.Send(isUdp ? Packet.Udp(client, Dns) : Packet.Tcp(client, Web).Ack());
        Assert.Equal((Verdict.Forward, answer.Reverse), (lb.Verdict, lb.Meta.Translated));
        return $"{answer.Source.WithPort(answer.SourcePort)} {answer.Destination.WithPort(answer.DestinationPort)}";
    }

    /// <summary>Data in both directions, on the way that it has always had.</summary>
    private static void Speak(PipelineFixture lb, string client, string way, bool isUdp)
    {
        string[] ends = way.Split(' ');
        string asked = lb.Send(isUdp ? Packet.Udp(client, Dns).Payload("data") : Packet.Tcp(client, Web).Push("data"));
        Assert.StartsWith($"{ends[1]} > {ends[0]} ", asked);
        string answered = lb.Send(isUdp ? Packet.Udp(ends[0], ends[1]).Payload("data") : Packet.Tcp(ends[0], ends[1]).Push("data"));
        Assert.StartsWith($"{(isUdp ? Dns : Web)} > {client} ", answered);
    }

    /// <summary>Packets from addresses that nobody has, through a worker of its own, and what the backends answer to them.</summary>
    private sealed class Forger(PipelineFixture lb, bool isUdp, bool isAnswered, string? destination = null, byte[]? question = null)
    {
        private readonly Random _random = new(14);
        private readonly PacketPipeline _pipeline = new(lb.Maps, lb.Flows, lb.Counters, lb.Random);
        private readonly byte[] _buffer = new byte[2048];
        private readonly byte[] _question = question ?? (isUdp
            ? Packet.Udp("20.0.0.1:1", destination ?? Dns).Payload("?")
            : Packet.Tcp("20.0.0.1:1", destination ?? Web).Syn());

        public void Send()
        {
            BinaryPrimitives.WriteUInt32BigEndian(_question.AsSpan(12), 0x1400_0000 + (uint)_random.Next(1 << 24)); // of 20.0.0.0/8
            BinaryPrimitives.WriteUInt16BigEndian(_question.AsSpan(20), (ushort)_random.Next(30_000, 60_000));
            ReferenceRewriter.CompleteChecksums(_question);
            if (Process(_question) is { } emitted && isAnswered)
            {
                Process(isUdp ? Packet.Of(emitted.Reverse).Payload("!") : Packet.Of(emitted.Reverse).SynAck());
            }
        }

        private FlowTuple? Process(byte[] packet)
        {
            packet.CopyTo(_buffer, 0);
            var meta = new PacketMeta { Length = packet.Length };
            return _pipeline.Process(_buffer, ref meta, lb.NowMs) == Verdict.Forward ? meta.Translated : null;
        }
    }
}
