using ClusterLb.Agent.Replay;

namespace ClusterLb.Cli.Output;

/// <summary>What <c>clusterlb replay -o json</c> prints.</summary>
/// <param name="Packets">In the order of the capture; null if only the summary was asked for.</param>
/// <param name="Summary">Of all packets.</param>
internal sealed record ReplayView(IReadOnlyList<ReplayedPacket>? Packets, ReplaySummary Summary);
