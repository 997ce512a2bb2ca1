using System.CommandLine;
using ClusterLb.Agent.Admin;
using ClusterLb.Cli.Output;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb sync trace</c>.</summary>
internal static class SyncCommand
{
    private const int DefaultCount = 20;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("sync", "How changes reach the maps");
        command.Add(CreateTrace(common, terminal));
        return command;
    }

    private static Command CreateTrace(CommonOptions common, Terminal terminal)
    {
        var slowest = new Option<bool>("--slowest") { Description = "Show the slowest changes first, not the latest" };
        var count = new Option<int>("--count", "-n") { Description = $"How many changes to show (default {DefaultCount})", DefaultValueFactory = _ => DefaultCount };
        count.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 0)
            {
                result.AddError("--count must not be negative");
            }
        });
        var service = new Option<string?>("--service") { Description = "Only changes of this service (NAMESPACE/NAME)" };
        var command = new Command(
            "trace", "Where the time of the last changes went: API server, read, write, first packet; half and 99 % of them took at most ...")
        {
            slowest, count, service,
        };
        command.SetAction(async (parsed, cancel) =>
        {
            using var admin = new AdminClient(common.StateDir(parsed));
            SyncTraceReport all = await admin.SyncTraceAsync(cancel);
            string? wanted = parsed.GetValue(service);
            TracedChange[] changes = [.. all.Changes.Where(c => wanted is null || c.Service == wanted)];
            IEnumerable<TracedChange> ordered = parsed.GetValue(slowest) ? changes.OrderByDescending(c => c.TotalMs) : changes.Reverse();
            var report = new SyncTraceReport { FirstListMs = all.FirstListMs, Stages = StageLatency.Of(changes), Changes = [.. ordered.Take(parsed.GetValue(count))] };
            if (common.Format(parsed) == OutputFormat.Json)
            {
                JsonOutput.WriteDocument(terminal.Out, report, OutputJson.Readable.SyncTraceReport);
            }
            else
            {
                SyncTraceText.Write(report, terminal, all.Changes.Count == 0 ? null : wanted);
            }

            return ExitStatus.Success;
        });
        return command;
    }
}
