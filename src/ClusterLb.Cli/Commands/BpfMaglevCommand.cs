using System.CommandLine;
using System.Globalization;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf lb maglev</c>: the tables of services that choose by a hash.</summary>
internal static class BpfMaglevCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var which = new Argument<string?>("service")
        {
            Description = "Only the tables of [namespace/]name[:port]",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var command = new Command("maglev", "Show the Maglev tables: seed, size, and the share of each backend") { which };
        command.SetAction(parsed =>
        {
            using LbMaps maps = StateFiles.OpenMaps(common.StateDir(parsed));
            Print(MaglevView.Of(maps, parsed.GetValue(which)), parsed.GetValue(which), common.Format(parsed), terminal);
        });
        return command;
    }

    /// <summary>Prints the tables.</summary>
    /// <exception cref="CommandException">A service was named that has no table.</exception>
    internal static void Print(MaglevView view, string? which, OutputFormat format, Terminal terminal)
    {
        if (which is not null && view.Tables.Count == 0)
        {
            throw new CommandException(
                $"cannot show the Maglev table of '{which}'", "it has none",
                "only services that choose by a hash have one; 'clusterlb service list -o json' tells the algorithm of each");
        }

        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, view, OutputJson.Readable.MaglevView);
            return;
        }

        terminal.Out.WriteLine($"seed {view.Seed}, {view.TableSize} slots each");
        var table = new TextTable("SERVICE", "SET", "BACKEND", "SLOTS", "SHARE", "DIGEST");
        foreach (MaglevTableView service in view.Tables)
        {
            foreach (MaglevShareView share in service.Backends)
            {
                table.Add(
                    service.Service, service.Set, share.Backend, share.Slots.ToString(CultureInfo.InvariantCulture),
                    (100.0 * share.Slots / view.TableSize).ToString("0.00", CultureInfo.InvariantCulture) + "%", service.Digest);
            }
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }
}
