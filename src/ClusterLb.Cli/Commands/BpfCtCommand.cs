using System.CommandLine;
using ClusterLb.Agent.Admin;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf ct list|flush</c>: the conntrack table.</summary>
internal static class BpfCtCommand
{
    public static Command Create(CommonOptions common, Terminal terminal) =>
        new("ct", "Connection tracking") { List(common, terminal), Flush(common, terminal) };

    /// <summary>Prints flows: from whom to what, and where they really go.</summary>
    internal static void Print(IEnumerable<FlowSnapshot> flows, OutputFormat format, Terminal terminal)
    {
        FlowView[] views = [.. flows.Select(FlowView.Of)];
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, views, OutputJson.Readable.FlowViewArray);
            return;
        }

        var table = new TextTable("PROTO", "STATE", "CLIENT", "FRONTEND", "BACKEND", "SNAT", "OUT", "IN", "EXPIRES");
        foreach (FlowView flow in views)
        {
            table.Add(
                flow.Protocol, flow.State, flow.Client, flow.Frontend, flow.BackendFate.Length == 0 ? flow.Backend : $"{flow.Backend} ({flow.BackendFate})",
                flow.SeenByBackend == flow.Client ? "-" : flow.SeenByBackend,
                $"{flow.PacketsOut}/{flow.BytesOut}B", $"{flow.PacketsIn}/{flow.BytesIn}B",
                $"{Math.Max(0, flow.RemainingSeconds)}s");
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }

    private static Command List(CommonOptions common, Terminal terminal)
    {
        var filter = new FlowFilterOptions();
        var command = new Command("list", "List the flows in the conntrack table (packets/bytes out: from the client, in: from the backend)");
        filter.AddTo(command);
        command.SetAction(parsed =>
        {
            FlowFilter which = filter.Read(parsed);
            Print(StateFiles.ReadFlows(common.StateDir(parsed)).Where(which.Matches), common.Format(parsed), terminal);
        });
        return command;
    }

    private static Command Flush(CommonOptions common, Terminal terminal)
    {
        var filter = new FlowFilterOptions();
        var command = new Command("flush", "Forget flows, all or those that fulfil every condition given; their next packets begin anew");
        filter.AddTo(command);
        command.SetAction(async (parsed, cancel) =>
        {
            using var admin = new AdminClient(common.StateDir(parsed));
            long count = await admin.FlushConntrackAsync(FlushRequest.Of(filter.Read(parsed)), cancel);
            if (common.Format(parsed) == OutputFormat.Json)
            {
                JsonOutput.WriteDocument(terminal.Out, new FlushView(count), OutputJson.Readable.FlushView);
            }
            else
            {
                terminal.Out.WriteLine(count == 1 ? "1 flow forgotten" : $"{count} flows forgotten");
            }
        });
        return command;
    }
}
