using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent.Replay;

/// <summary>Captured packets through the dataplane's pipeline, at the times of the capture. The same seed, the same output.</summary>
/// <remarks>One thread.</remarks>
public sealed class PacketReplay : IDisposable
{
    private const long NanosecondsPerMillisecond = 1_000_000;
    private const long StartMs = 1_000_000; // later than any timeout that counts from 0
    private const int SweepPerPacket = 256;
    private const int RoomForAnswer = 2048;

    private readonly LbMaps _maps;
    private readonly FlowTables _flows;
    private readonly PacketPipeline _pipeline;
    private readonly PacketWatch _watch;
    private readonly byte[] _buffer = new byte[PacketBatch.MaxPacketLength + RoomForAnswer];
    private readonly ulong _seed;
    private long _evicted;
    private long _firstNs = long.MinValue;
    private long _latestNs;
    private int _count;
    private int _cut;
    private int _newFlows;
    private int _broken;
    private readonly SortedDictionary<string, int> _verdicts = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _reasons = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _backends = new(StringComparer.Ordinal);

    /// <summary>A dataplane that has seen no packet yet.</summary>
    /// <param name="maps">What it decides by.</param>
    /// <param name="seed">Of its random choices.</param>
    /// <param name="capacities">Of the flow tables.</param>
    public PacketReplay(LbMaps maps, ulong seed, FlowCapacities capacities)
    {
        _maps = maps;
        _seed = seed;
        _flows = FlowTables.CreateInMemory(capacities with { Workers = 1 });
        _pipeline = new PacketPipeline(maps, _flows, PipelineCounters.CreateInMemory(), new FastRandomSource(seed));
        _watch = new PacketWatch(maps);
    }

    /// <summary>What has become of all packets so far.</summary>
    public ReplaySummary Summary => new()
    {
        Packets = _count,
        Seconds = _count == 0 ? 0 : (_latestNs - _firstNs) / 1e9,
        Verdicts = _verdicts,
        Reasons = _reasons,
        Backends = _backends,
        NewFlows = _newFlows,
        FlowsLeft = _flows.List(NowMs).Count(flow => flow.RemainingSeconds > 0),
        Cut = _cut,
        Broken = _broken,
        Seed = _seed,
    };

    private long NowMs => StartMs + ((_latestNs - _firstNs) / NanosecondsPerMillisecond);

    /// <summary>One packet.</summary>
    /// <param name="captured">Of the capture, in its order. Time that goes backwards stands still.</param>
    /// <param name="output">Gets what is written; null if nobody wants it.</param>
    public ReplayedPacket Process(CapturedPacket captured, PcapWriter? output)
    {
        _firstNs = _count++ == 0 ? captured.TimeNs : _firstNs;
        _latestNs = Math.Max(_latestNs, captured.TimeNs);
        _cut += captured.IsCut ? 1 : 0;
        double seconds = (captured.TimeNs - _firstNs) / 1e9;
        if (captured.Packet.Length is 0 or > PacketBatch.MaxPacketLength)
        {
            Count(_verdicts, "skip");
            return new ReplayedPacket { Number = _count, Seconds = seconds, Verdict = "skip", Cut = captured.IsCut };
        }

        captured.Packet.CopyTo(_buffer, 0);
        var meta = new PacketMeta { Length = captured.Packet.Length };
        Verdict verdict = _pipeline.Process(_buffer, ref meta, NowMs);
        ReadOnlySpan<byte> written = verdict == Verdict.Drop ? default : _buffer.AsSpan(0, meta.Length);
        if (_flows.Evicted != _evicted || meta.DropReason == DropReason.ConntrackFull)
        {
            _evicted = _flows.Evicted;
            _watch.TableIsFull();
        }

        string? broken = _watch.Check(captured.Packet, written, verdict, meta, NowMs);
        _flows.Sweep(NowMs, SweepPerPacket);
        if (verdict != Verdict.Drop)
        {
            output?.Write(written, captured.TimeNs);
        }

        CountIn(verdict, meta, broken);
        string? service = null;
        _ = meta.ServicePortId != 0 && _maps.ServiceNames.TryLookup(meta.ServicePortId, out service);
        return new ReplayedPacket
        {
            Number = _count,
            Seconds = seconds,
            Verdict = Word(verdict),
            Reason = meta.DropReason == DropReason.None ? null : meta.DropReason.ToString(),
            Packet = PacketText.Describe(captured.Packet),
            Written = verdict is Verdict.Forward or Verdict.Reject ? PacketText.Describe(written) : null,
            Service = service,
            NewFlow = meta.NewFlow,
            Reply = meta.IsReply,
            Masqueraded = meta.Masqueraded,
            Cut = captured.IsCut,
            Broken = broken,
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _flows.Dispose();

    private void CountIn(Verdict verdict, in PacketMeta meta, string? broken)
    {
        Count(_verdicts, Word(verdict));
        _broken += broken is null ? 0 : 1;
        if (meta.DropReason != DropReason.None)
        {
            Count(_reasons, meta.DropReason.ToString());
        }

        if (meta.NewFlow)
        {
            _newFlows++;
            Count(_backends, meta.Translated.Destination.WithPort(meta.Translated.DestinationPort));
        }
    }

    private static string Word(Verdict verdict) => verdict.ToString().ToLowerInvariant();

    private static void Count(SortedDictionary<string, int> counts, string key) => counts[key] = counts.GetValueOrDefault(key) + 1;
}
