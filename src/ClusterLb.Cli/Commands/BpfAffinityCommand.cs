using System.CommandLine;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf affinity list</c>: which clients are pinned to which backends.</summary>
internal static class BpfAffinityCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var list = new Command("list", "List the clients that session affinity has pinned to a backend, and for how long");
        list.SetAction(parsed =>
        {
            string stateDir = common.StateDir(parsed);
            using LbMaps maps = StateFiles.OpenMaps(stateDir);
            Print(StateFiles.ReadAffinity(stateDir), maps, common.Format(parsed), terminal);
        });
        return new Command("affinity", "Session affinity") { list };
    }

    internal static void Print(IEnumerable<AffinitySnapshot> pins, LbMaps maps, OutputFormat format, Terminal terminal)
    {
        AffinityView[] views = [.. pins.Select(pin => AffinityView.Of(pin, maps))];
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, views, OutputJson.Readable.AffinityViewArray);
            return;
        }

        var table = new TextTable("SERVICE", "CLIENT", "BACKEND", "REMAINING", "TIMEOUT");
        foreach (AffinityView view in views)
        {
            string remaining = view.RemainingSeconds > 0 ? $"{view.RemainingSeconds}s" : "expired";
            table.Add(view.Service, view.Client, view.Backend, remaining, $"{view.TimeoutSeconds}s");
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }
}
