using System.CommandLine;
using ClusterLb.Agent;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Capabilities;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb status</c>.</summary>
internal static class StatusCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("status", "Show agent, dataplane, maps and flow tables. Exit status 1 if something is not well");
        command.SetAction(async (parsed, cancel) =>
        {
            StatusView status = await ReadAsync(common.StateDir(parsed), terminal.Time, cancel);
            if (common.Format(parsed) == OutputFormat.Json)
            {
                JsonOutput.WriteDocument(terminal.Out, status, OutputJson.Readable.StatusView);
            }
            else
            {
                StatusText.Write(status, terminal);
            }

            return status.IsHealthy ? ExitStatus.Success : ExitStatus.Failure;
        });
        return command;
    }

    private static async Task<StatusView> ReadAsync(string stateDir, TimeProvider time, CancellationToken cancel)
    {
        using SharedLbMaps maps = StateFiles.OpenMaps(stateDir);
        AgentStatus? agent = null;
        string? problem = null;
        try
        {
            using var admin = new AdminClient(stateDir);
            agent = await admin.StatusAsync(cancel);
        }
        catch (AdminException e)
        {
            problem = e.Message;
        }

        IReadOnlyList<WorkerHeartbeat> beats = IfAllowed(() => WorkerSlots.Read(stateDir)) ?? [];
        TimeSpan now = time.GetElapsedTime(0);
        TimeSpan[] ages = [.. beats.Select(beat => now - TimeSpan.FromMicroseconds(beat.TimeNs / 1000.0))];
        PipelineCounters? counters = IfAllowed(() => PipelineCounters.Read(stateDir));
        (int Flows, int Orphans)? flows = IfAllowed<(int, int)?>(() => FlowTables.Read(stateDir)
            .Aggregate((Flows: 0, Orphans: 0), (sum, flow) => (sum.Flows + 1, sum.Orphans + (flow.BackendFate.Length > 0 ? 1 : 0))));
        return new StatusView(
            stateDir,
            agent,
            problem,
            maps.Node.TryLookup(0, out NodeEntry node) && node.Flags.HasFlag(NodeFlags.Synced),
            ages.Count(age => age < WorkerSlots.LongestSilence),
            ages.Length == 0 ? null : Math.Max(0, (long)ages.Min().TotalMilliseconds),
            flows?.Flows,
            flows?.Orphans,
            [.. maps.Fill.Concat(IfAllowed(() => FlowTables.ReadFill(stateDir)) ?? []).Concat(KernelConntrackTable.ReadFill()).Select(map => new MapStatus(map.Name, map.Count, map.Capacity))],
            counters is null ? null : Enum.GetValues<Verdict>().ToDictionary(Words.VerdictOf, counters.Packets, StringComparer.Ordinal),
            counters is null ? null : Enum.GetValues<DropReason>().Where(reason => reason != DropReason.None && counters.Drops(reason) > 0)
                .ToDictionary(reason => reason.ToString(), counters.Drops, StringComparer.Ordinal),
            CapabilityProbe.Read(agent?.Steering.Device ?? IfAllowed(() => AgentRecord.Load(stateDir))?.Device ?? new TunOptions().Name))
        {
            Special = counters is null ? null : new Dictionary<string, ulong>(StringComparer.Ordinal)
            {
                ["flows that never came to anything forgotten early"] = counters.EvictedFlows,
                ["clients' session affinity forgotten early"] = counters.EvictedPins,
                ["connections whose client could not be pinned"] = counters.Unpinned,
                ["fragments"] = counters.Fragments,
                ["fragmented datagrams forgotten too early"] = counters.EvictedFragments,
                ["ICMP errors"] = counters.TranslatedErrors,
                ["pings answered"] = counters.AnsweredPings,
            },
        };
    }

    /// <summary>Flow tables are for root; the rest of the status is for the group too.</summary>
    private static T? IfAllowed<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException or AgentException)
        {
            return default;
        }
    }
}
