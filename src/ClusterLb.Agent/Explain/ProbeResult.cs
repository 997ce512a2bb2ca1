using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent.Explain;

/// <summary>What became of a packet.</summary>
/// <param name="Verdict">Of the pipeline.</param>
/// <param name="Meta">What it says about its decision.</param>
/// <param name="Written">The tuple in the bytes that go out; null if nothing does.</param>
/// <param name="Text">Those bytes as one tcpdump-like line; empty if there are none.</param>
internal readonly record struct ProbeResult(Verdict Verdict, PacketMeta Meta, FlowTuple? Written, string Text);
