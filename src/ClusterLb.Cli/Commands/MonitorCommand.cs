using System.CommandLine;
using System.Text.Json;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb monitor</c>: live packets.</summary>
internal static class MonitorCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var types = new Option<string[]>("--type", "-t")
        {
            Description = "Only packets with this verdict; may be repeated",
            HelpName = "drop|forward|reject|pass",
            DefaultValueFactory = _ => [],
        };
        types.AcceptOnlyFromAmong("drop", "forward", "reject", "pass");
        var command = new Command("monitor", "Show packets as they pass, one per line, with verdict and reason, until Ctrl-C") { types };
        command.SetAction(async (parsed, stop) =>
        {
            Verdict[] verdicts = [.. parsed.GetRequiredValue(types).Select(name => Enum.Parse<Verdict>(name, ignoreCase: true))];
            string stateDir = common.StateDir(parsed);
            using TraceReader trace = StateFiles.Open($"cannot monitor the dataplane of {stateDir}", () => TraceReader.Open(stateDir));
            using LbMaps maps = StateFiles.OpenMaps(stateDir);
            await RunAsync(trace, verdicts, maps, common.Format(parsed), terminal, stop);
        });
        return command;
    }

    /// <summary>Prints until stopped, or until nobody reads any more.</summary>
    private static async Task RunAsync(
        TraceReader trace, Verdict[] verdicts, LbMaps maps, OutputFormat format, Terminal terminal, CancellationToken stop)
    {
        using TextWriter output = terminal.OpenEndless();
        ulong missed = 0;
        try
        {
            while (true)
            {
                TimeSpan sinceBoot = terminal.Time.GetElapsedTime(0);
                DateTimeOffset boot = terminal.Time.GetUtcNow() - sinceBoot;
                foreach (TraceEvent e in trace.Read().Where(e => verdicts.Length == 0 || verdicts.Contains(e.Verdict)))
                {
                    var view = TraceView.Of(e, boot + TimeSpan.FromMicroseconds(e.TimeNs / 1000.0), maps);
                    await output.WriteLineAsync(format == OutputFormat.Json ? JsonSerializer.Serialize(view, TraceJson.Readable.TraceView) : view.ToString());
                }

                await output.FlushAsync(stop);
                if (trace.Missed > missed)
                {
                    await terminal.Error.WriteLineAsync($"clusterlb monitor: {trace.Missed - missed} packets were not shown: they came faster than they could be read");
                    missed = trace.Missed;
                }

                await Task.Delay(Pause, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Ctrl-C is how this is meant to end.
        }
        catch (IOException)
        {
            // As is `| head`.
        }
    }
}
