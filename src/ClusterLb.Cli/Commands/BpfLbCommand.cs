using System.CommandLine;
using System.Globalization;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf lb list</c>: service, backend and reverse NAT map.</summary>
internal static class BpfLbCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var frontends = new Option<bool>("--frontends") { Description = "Only the frontends (slot 0 of the service map)" };
        var backends = new Option<bool>("--backends") { Description = "Only the backend map" };
        var revnat = new Option<bool>("--revnat") { Description = "Only the reverse NAT map" };
        var list = new Command("list", "List the load-balancing maps") { frontends, backends, revnat };
        list.Validators.Add(result =>
        {
            if (new[] { frontends, backends, revnat }.Count(option => result.GetValue(option)) > 1)
            {
                result.AddError("--frontends, --backends and --revnat exclude each other");
            }
        });
        list.SetAction(parsed =>
        {
            using LbMaps maps = StateFiles.OpenMaps(common.StateDir(parsed));
            OutputFormat format = common.Format(parsed);
            if (parsed.GetValue(backends))
            {
                ListBackends(maps, format, terminal);
            }
            else if (parsed.GetValue(revnat))
            {
                ListReverseNat(maps, format, terminal);
            }
            else
            {
                ListServices(maps, parsed.GetValue(frontends), format, terminal);
            }
        });
        return new Command("lb", "Load-balancing maps") { list, BpfMaglevCommand.Create(common, terminal) };
    }

    internal static void ListServices(LbMaps maps, bool frontendsOnly, OutputFormat format, Terminal terminal)
    {
        IEnumerable<ServiceMapView> entries = ServiceMapView.All(maps, frontendsOnly);
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, [.. entries], OutputJson.Readable.ServiceMapViewArray);
            return;
        }

        var table = new TextTable("SERVICE ADDRESS", "BACKEND ADDRESS (REVNAT_ID) (SLOT)");
        foreach (ServiceMapView entry in entries)
        {
            table.Add($"{entry.Frontend} ({entry.Slot})", entry.ToString());
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }

    internal static void ListBackends(LbMaps maps, OutputFormat format, Terminal terminal)
    {
        BackendMapView[] entries =
            [.. maps.Backends.Entries().OrderBy(pair => pair.Key).Select(pair => new BackendMapView(
                pair.Key, Words.AddressOf(pair.Value), Words.StateOf(pair.Value.State)))];
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, entries, OutputJson.Readable.BackendMapViewArray);
            return;
        }

        var table = new TextTable("ID", "BACKEND ADDRESS", "STATE");
        foreach (BackendMapView entry in entries)
        {
            table.Add(entry.Id.ToString(CultureInfo.InvariantCulture), entry.Backend, entry.State);
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }

    internal static void ListReverseNat(LbMaps maps, OutputFormat format, Terminal terminal)
    {
        ReverseNatMapView[] entries =
            [.. maps.ReverseNat.Entries().OrderBy(pair => pair.Key).Select(pair => new ReverseNatMapView(
                pair.Key, Words.AddressOf(pair.Value.Address, pair.Value.Port, pair.Value.Protocol)))];
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, entries, OutputJson.Readable.ReverseNatMapViewArray);
            return;
        }

        var table = new TextTable("ID", "FRONTEND");
        foreach (ReverseNatMapView entry in entries)
        {
            table.Add(entry.Id.ToString(CultureInfo.InvariantCulture), entry.Frontend);
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }
}
