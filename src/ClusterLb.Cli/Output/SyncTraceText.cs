using System.Globalization;
using ClusterLb.Agent.Admin;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Cli.Output;

/// <summary>The trace of changes for people: the stages, then the changes.</summary>
internal static class SyncTraceText
{
    private const double WorthTellingMs = 0.5; // half of what a change is to take

    /// <summary>Prints it.</summary>
    /// <param name="report">What to print.</param>
    /// <param name="terminal">Where.</param>
    /// <param name="wanted">The service whose changes alone were asked for out of more; else null.</param>
    public static void Write(SyncTraceReport report, Terminal terminal, string? wanted = null)
    {
        var stages = new TextTable("STAGE", "CHANGES", "P50 ms", "P99 ms", "MAX ms");
        foreach (StageLatency stage in report.Stages)
        {
            stages.Add(stage.Stage, $"{stage.Count}", Of(stage, stage.P50Ms), Of(stage, stage.P99Ms), Of(stage, stage.MaxMs));
        }

        stages.WriteTo(terminal.Out, terminal.Width);
        if (report.FirstListMs is { } first)
        {
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\nFirst list: {first / 1000:0.00} s from its first byte to its last map entry."));
        }

        if (report.Changes.Count == 0)
        {
            terminal.Out.WriteLine(wanted is null
                ? "\nNo change came since the agent's first complete list."
                : $"\nNone of the changes that the trace holds is of {wanted}; without --service all are shown.");
            return;
        }

        terminal.Out.WriteLine();
        var changes = new TextTable("RECEIVED", "SERVICE", "CHANGE", "API ms", "READ ms", "WRITE ms", "PACKET ms", "TOTAL ms", "ENTRIES", "REMARK");
        foreach (TracedChange change in report.Changes)
        {
            changes.Add(
                change.Received.LocalDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture),
                change.Service,
                change.Kind == "Service" ? "Service" : change.Object[(change.Object.IndexOf('/', StringComparison.Ordinal) + 1)..],
                Show(change.ApiMs),
                Show(change.ReadMs),
                Show(change.WriteMs),
                Show(change.PacketMs),
                Show(change.TotalMs),
                $"{change.Writes}",
                Remark(change));
        }

        changes.WriteTo(terminal.Out, terminal.Width);
    }

    private static string Of(StageLatency stage, double milliseconds) => stage.Count == 0 ? "-" : Show(milliseconds);

    private static string Show(double? milliseconds) => milliseconds?.ToString("0.000", CultureInfo.InvariantCulture) ?? "-";

    private static string Remark(TracedChange change)
    {
        string packet = change.FirstPacket switch
        {
            FirstPacket.Awaited => "no packet yet",
            FirstPacket.GivenUp => "no packet",
            _ => "",
        };
        string skew = change.ClockSkewMs > 0
            ? string.Create(CultureInfo.InvariantCulture, $"the control plane's clock is {change.ClockSkewMs:0.0} ms ahead of ours")
            : "";
        return string.Join("; ", new[] { packet, skew, Part(change.WaitMs, "waiting for its turn"), Part(change.GcMs, "garbage collection") }.Where(part => part.Length > 0));

        string Part(double milliseconds, string what) => milliseconds >= WorthTellingMs && milliseconds >= change.WriteMs / 2
            ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0.0} ms of the writing: {what}")
            : "";
    }
}
