using System.Diagnostics;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>What connections with checked data, and the dataplanes of both nodes, did for a while.</summary>
/// <param name="What">What happened meanwhile.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Exchanges">Questions that were answered, of each connection.</param>
/// <param name="LongestGapMs">The longest silence of any connection.</param>
/// <param name="Packets">Read by the dataplanes.</param>
/// <param name="Flows">Begun on the node where the clients are.</param>
/// <param name="Evicted">Forgotten early on that node.</param>
/// <param name="Refused">Packets of new flows for which that node had no room.</param>
internal sealed record FloodPhase(
    string What, double Seconds, IReadOnlyList<long> Exchanges, double LongestGapMs, ulong Packets, ulong Flows, ulong Evicted, ulong Refused)
{
    /// <summary>Of all connections together.</summary>
    public double ExchangesPerSecond => Exchanges.Sum() / Seconds;

    /// <summary>By the dataplanes of both nodes.</summary>
    public double PacketsPerSecond => Packets / Seconds;

    /// <summary>Looks at the connections and the dataplanes before and after something.</summary>
    public static async Task<FloodPhase> OfAsync(string what, LabFixture fixture, IReadOnlyList<CheckedStream> streams, Func<Task> happen)
    {
        long[] before = [.. streams.Select(stream => stream.Exchanges)];
        foreach (CheckedStream stream in streams)
        {
            stream.TakeLongestGapMs();
        }

        ulong packets = Read(fixture);
        PipelineCounters counters = fixture.Counters("node-a");
        long started = Stopwatch.GetTimestamp();
        await happen();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        PipelineCounters after = fixture.Counters("node-a");
        return new FloodPhase(
            what, seconds, [.. streams.Select((stream, i) => stream.Exchanges - before[i])], streams.Max(stream => stream.TakeLongestGapMs()),
            Read(fixture) - packets, after.NewFlows - counters.NewFlows, after.EvictedFlows - counters.EvictedFlows,
            after.Drops(DropReason.ConntrackFull) - counters.Drops(DropReason.ConntrackFull));
    }

    /// <summary>Of the packets, those that were not the connections'.</summary>
    /// <param name="quiet">What an exchange takes when there is nothing else.</param>
    public double ForgedShareBy(FloodPhase quiet) =>
        Math.Clamp(1 - (Exchanges.Sum() * ((double)quiet.Packets / quiet.Exchanges.Sum()) / Packets), 0, 1);

    /// <inheritdoc/>
    public override string ToString() =>
        $"{What}: {Seconds:0.0} s, {Flows} flows begun, {Evicted} forgotten early, {Refused} refused; {PacketsPerSecond:0} packets a second by both dataplanes; "
        + $"{ExchangesPerSecond:0} exchanges a second, per connection {Exchanges.Min()} to {Exchanges.Max()}; longest silence {LongestGapMs:0} ms";

    private static ulong Read(LabFixture fixture) => (ulong)fixture.Topology.Nodes.Sum(node =>
        Enum.GetValues<Verdict>().Sum(verdict => (long)fixture.Counters(node.Name).Packets(verdict)));
}
