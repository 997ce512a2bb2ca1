using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Explain;

/// <summary>The pipeline of the dataplane process, hosted here: packet bytes in, packet bytes and verdict out.</summary>
/// <remarks>Remembers flows as long as it lives. One thread.</remarks>
internal sealed class InProcessDataplane : IDisposable
{
    private const int BufferBytes = 2048; // a probe, or the answer to it: at most 1280

    private readonly FlowTables _flows;
    private readonly PacketPipeline _pipeline;
    private readonly byte[] _buffer = new byte[BufferBytes];

    /// <summary>A dataplane that has seen no packet yet.</summary>
    /// <param name="maps">What it decides by.</param>
    /// <param name="random">What it chooses backends by.</param>
    /// <param name="flowCapacity">Flows that it can remember, per family.</param>
    public InProcessDataplane(LbMaps maps, RandomSource random, int flowCapacity)
    {
        _flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = flowCapacity, Ipv6 = flowCapacity, Workers = 1 });
        _pipeline = new PacketPipeline(maps, _flows, PipelineCounters.CreateInMemory(), random);
    }

    /// <summary>Sends the first packet of a connection.</summary>
    public ProbeResult SendFirst(in FlowTuple tuple, long nowMs) => Send(ProbePacket.WriteFirst(_buffer, tuple), nowMs);

    /// <summary>Sends what a server answers to the first packet of a connection.</summary>
    public ProbeResult SendAnswer(in FlowTuple tuple, long nowMs) => Send(ProbePacket.WriteAnswer(_buffer, tuple), nowMs);

    /// <inheritdoc/>
    public void Dispose() => _flows.Dispose();

    private ProbeResult Send(int length, long nowMs)
    {
        var meta = new PacketMeta { Length = length };
        Verdict verdict = _pipeline.Process(_buffer, ref meta, nowMs);
        FlowTuple? written = null;

        // What is told of the result is read from the bytes that would go out, not from what the pipeline says about them.
        if (verdict != Verdict.Drop && PacketParser.Parse(_buffer.AsSpan(0, meta.Length), out FlowTuple tuple, out _) == DropReason.None)
        {
            written = tuple;
        }

        string text = verdict == Verdict.Drop ? "" : PacketText.Describe(_buffer.AsSpan(0, meta.Length));
        return new ProbeResult(verdict, meta, written, text);
    }
}
