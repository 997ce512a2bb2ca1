using System.Globalization;
using ClusterLb.Agent.Replay;

namespace ClusterLb.Cli.Output;

/// <summary>A replayed capture for people.</summary>
internal static class ReplayText
{
    /// <summary>One packet: as it was captured, and below it what was written.</summary>
    public static void WritePacket(ReplayedPacket packet, TextWriter writer)
    {
        var notes = new List<string>();
        if (packet.Reason is not null)
        {
            notes.Add($"({packet.Reason})");
        }

        if (packet.Service is not null)
        {
            notes.Add(packet.Service);
        }

        notes.AddRange(Properties(packet));
        string head = string.Create(CultureInfo.InvariantCulture, $"{packet.Number,5} {packet.Seconds,11:F6} {packet.Verdict,-7} ");
        writer.WriteLine($"{head}{packet.Packet ?? "no IP packet"}{(notes.Count == 0 ? "" : "  " + string.Join(' ', notes))}");
        if (packet.Written is not null)
        {
            writer.WriteLine($"{new string(' ', head.Length - 3)}=> {packet.Written}");
        }

        if (packet.Broken is not null)
        {
            writer.WriteLine($"{new string(' ', head.Length - 3)}!! BROKEN PROMISE: {packet.Broken}");
        }
    }

    /// <summary>What became of all of them.</summary>
    public static void WriteSummary(ReplaySummary summary, TextWriter writer)
    {
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{summary.Packets} packets in {summary.Seconds:F3} s: {Counts(summary.Verdicts)}; {summary.NewFlows} new flows, {summary.FlowsLeft} left at the end; seed {summary.Seed}"));
        if (summary.Reasons.Count > 0)
        {
            writer.WriteLine($"reasons: {Counts(summary.Reasons)}");
        }

        if (summary.Backends.Count > 0)
        {
            writer.WriteLine($"new flows by backend: {Counts(summary.Backends)}");
        }

        if (summary.Cut > 0)
        {
            writer.WriteLine($"{summary.Cut} packets were captured in part only: capture with 'tcpdump -s 0'");
        }

        writer.WriteLine(summary.Broken == 0 ? "promises of the dataplane: all kept" : $"promises of the dataplane: BROKEN by {summary.Broken} packets");
    }

    private static IEnumerable<string> Properties(ReplayedPacket packet)
    {
        if (packet.NewFlow)
        {
            yield return "new";
        }

        if (packet.Reply)
        {
            yield return "reply";
        }

        if (packet.Masqueraded)
        {
            yield return "masqueraded";
        }

        if (packet.Cut)
        {
            yield return "cut";
        }
    }

    private static string Counts(SortedDictionary<string, int> counts) =>
        counts.Count == 0 ? "none" : string.Join(", ", counts.Select(pair => $"{pair.Key} {pair.Value}"));
}
