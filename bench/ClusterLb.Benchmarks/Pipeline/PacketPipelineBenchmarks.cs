using BenchmarkDotNet.Attributes;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Benchmarks.Pipeline;

/// <summary>What does a packet cost from its first byte to its last: parse, flow or selection, accounting, rewrite?</summary>
/// <remarks>Target: at most 100 ns for a packet of a known flow, 500 ns for a new flow, 0 bytes allocated. With few flows all is
/// in the caches; with a million each packet finds its flow in memory. Copying the 60-byte packet into the buffer is included, and so
/// is the glance at the next packet.</remarks>
[MemoryDiagnoser]
public class PacketPipelineBenchmarks
{
    private const int Draws = 4_096;
    private const int NewFlows = 100_000;
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";

    private readonly byte[] _buffer = new byte[2_048];
    private PipelineFixture _lb = null!;
    private PacketPipeline _pipeline = null!;
    private byte[] _forward = [];
    private byte[] _replies = [];
    private byte[] _syns = [];
    private int _packetLength;
    private long _nowMs;

    /// <summary>Established flows.</summary>
    [Params(1_000, 1_000_000)]
    public int Flows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _lb = new PipelineFixture(
            SharedLbMaps.CreateInMemory(new LbMapCapacities()),
            FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = Math.Max(262_144, 2 * Flows), Ipv6 = 64 }),
            new FastRandomSource(1));
        _lb.WithService($"{Frontend}/TCP", Backend, "10.244.1.6:8080", "10.244.1.7:8080", "10.244.1.8:8080", "10.244.1.9:8080");
        _pipeline = new PacketPipeline(_lb.Maps, _lb.Flows, _lb.Counters, _lb.Random);
        _nowMs = _lb.NowMs;
        _lb.WithNetwork("10.245.0.0/16", NetworkFlags.PodRange);
        _syns = [.. Enumerable.Range(0, NewFlows).SelectMany(client => Syn(245, client))];
        _packetLength = _syns.Length / NewFlows;

        var random = new Random(1);
        var forward = new List<byte[]>();
        var replies = new List<byte[]>();
        for (int flow = 0; flow < Flows; flow++)
        {
            bool sampled = random.Next(Flows) < Draws;
            var meta = Run(Syn(244, flow));
            if (sampled || flow < 8)
            {
                string client = meta.Tuple.Source.WithPort(meta.Tuple.SourcePort);
                forward.Add(Packet.Tcp(client, Frontend).Ack());
                replies.Add(Packet.Tcp(meta.Translated.Destination.WithPort(8080), meta.Translated.Source.WithPort(meta.Translated.SourcePort)).Ack());
            }
        }

        _forward = [.. Enumerable.Range(0, Draws).SelectMany(_ => forward[random.Next(forward.Count)])];
        _replies = [.. Enumerable.Range(0, Draws).SelectMany(_ => replies[random.Next(replies.Count)])];
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Draws)]
    public void KnownFlow() => RunAll(_forward, Verdict.Forward);

    [Benchmark(OperationsPerInvoke = Draws)]
    public void Reply() => RunAll(_replies, Verdict.Forward);

    [IterationSetup(Target = nameof(NewFlow))]
    public void ForgetNewFlows() => _lb.Flows.Flush(new FlowFilter { Client = IpPrefix.Parse("10.245.0.0/16") }, _nowMs);

    [Benchmark(OperationsPerInvoke = NewFlows)]
    public void NewFlow() => RunAll(_syns, Verdict.Forward);

    private static byte[] Syn(int second, int client) =>
        Packet.Tcp($"10.{second}.{(client >> 8) & 0xFF}.{client & 0xFF}:{1024 + (client >> 16)}", Frontend).Syn();

    private PacketMeta Run(byte[] packet)
    {
        packet.CopyTo(_buffer, 0);
        var meta = new PacketMeta { Length = packet.Length };
        _pipeline.Process(_buffer, ref meta, _nowMs);
        return meta;
    }

    private void RunAll(byte[] packets, Verdict expected)
    {
        _nowMs++;
        for (int at = 0; at < packets.Length; at += _packetLength)
        {
            if (at + _packetLength < packets.Length)
            {
                _pipeline.Anticipate(packets.AsSpan(at + _packetLength, _packetLength)); // as a worker does within a batch
            }

            packets.AsSpan(at, _packetLength).CopyTo(_buffer);
            var meta = new PacketMeta { Length = _packetLength };
            if (_pipeline.Process(_buffer, ref meta, _nowMs) != expected)
            {
                throw new InvalidOperationException($"{meta.DropReason}");
            }
        }
    }
}
