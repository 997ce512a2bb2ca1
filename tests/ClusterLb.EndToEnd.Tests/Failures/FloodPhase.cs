using System.Diagnostics;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Demo;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>What connections with checked data, and the dataplane of their node, did for a while.</summary>
/// <param name="What">What happened meanwhile.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Exchanges">Questions that were answered, of each connection.</param>
/// <param name="LongestGapMs">The longest silence of any connection.</param>
/// <param name="Read">Packets that the dataplane read.</param>
/// <param name="Dropped">Packets that found its queue full.</param>
/// <param name="Flows">Begun.</param>
/// <param name="Evicted">Forgotten early.</param>
/// <param name="Refused">Packets of new flows for which there was no room.</param>
/// <param name="KernelBefore">The kernel's own flow table when it began; null if it has none.</param>
/// <param name="KernelAfter">The same at the end.</param>
internal sealed record FloodPhase(
    string What, double Seconds, IReadOnlyList<long> Exchanges, double LongestGapMs, long Read, long Dropped, ulong Flows, ulong Evicted, ulong Refused,
    KernelConntrackTable? KernelBefore, KernelConntrackTable? KernelAfter)
{
    /// <summary>Of all connections together.</summary>
    public double ExchangesPerSecond => Exchanges.Sum() / Seconds;

    /// <summary>By the dataplane.</summary>
    public double PacketsPerSecond => Read / Seconds;

    /// <summary>Looks at the connections and the dataplane before and after something.</summary>
    public static async Task<FloodPhase> OfAsync(string what, LabFixture fixture, string node, IReadOnlyList<CheckedStream> streams, Func<Task> happen)
    {
        long[] before = [.. streams.Select(stream => stream.Exchanges)];
        foreach (CheckedStream stream in streams)
        {
            stream.TakeLongestGapMs();
        }

        TunCounters device = TunCounters.Read(fixture.Lab.Namespace(node));
        PipelineCounters counters = fixture.Counters(node);
        KernelConntrackTable? kernel = fixture.Lab.Namespace(node).Run(KernelConntrackTable.Read);
        long started = Stopwatch.GetTimestamp();
        await happen();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        TunCounters moved = TunCounters.Read(fixture.Lab.Namespace(node)).Since(device);
        PipelineCounters after = fixture.Counters(node);
        return new FloodPhase(
            what, seconds, [.. streams.Select((stream, i) => stream.Exchanges - before[i])], streams.Max(stream => stream.TakeLongestGapMs()),
            moved.ReadPackets, moved.DroppedPackets, after.NewFlows - counters.NewFlows, after.EvictedFlows - counters.EvictedFlows,
            after.Drops(DropReason.ConntrackFull) - counters.Drops(DropReason.ConntrackFull),
            kernel, fixture.Lab.Namespace(node).Run(KernelConntrackTable.Read));
    }

    /// <summary>Of all packets that the dataplane has to carry, those that are not the connections': forged ones, and answers to them.</summary>
    /// <param name="quiet">What the connections ask for when there is nothing else.</param>
    public double ForgedShareBy(FloodPhase quiet)
    {
        double perExchange = (double)quiet.Read / quiet.Exchanges.Sum();
        double forgedPerSecond = Math.Max(0, (Read - (Exchanges.Sum() * perExchange)) / Seconds);
        return forgedPerSecond / (forgedPerSecond + quiet.PacketsPerSecond);
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"{What}: {Seconds:0.0} s, {Flows} flows begun, {Evicted} forgotten early, {Refused} refused; {PacketsPerSecond:0} packets a second read, "
        + $"{100.0 * Dropped / Math.Max(1, Read + Dropped):0.0} % found the queue full; {ExchangesPerSecond:0} exchanges a second, per connection "
        + $"{Exchanges.Min()} to {Exchanges.Max()}, half of them {Exchanges.Order().ElementAt(Exchanges.Count / 2)} or more; longest silence {LongestGapMs:0} ms; "
        + $"the kernel's table {KernelBefore?.Count} to {KernelAfter?.Count} of {KernelAfter?.Capacity} entries, "
        + $"{KernelAfter?.Dropped - KernelBefore?.Dropped} packets dropped, {KernelAfter?.EarlyDropped - KernelBefore?.EarlyDropped} entries made room";
}
