using System.CommandLine;
using System.Globalization;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf lb list</c>: service, backend, reverse NAT and source range map.</summary>
internal static class BpfLbCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var frontends = new Option<bool>("--frontends") { Description = "Only the frontends (slot 0 of the service map)" };
        var backends = new Option<bool>("--backends") { Description = "Only the backend map" };
        var revnat = new Option<bool>("--revnat") { Description = "Only the reverse NAT map" };
        var sourceRanges = new Option<bool>("--source-ranges") { Description = "Only the source range map: who may use filtered frontends" };
        Option<bool>[] choices = [frontends, backends, revnat, sourceRanges];
        var list = new Command("list", "List the load-balancing maps") { frontends, backends, revnat, sourceRanges };
        list.Validators.Add(result =>
        {
            if (choices.Count(result.IsTyped) > 1)
            {
                result.AddError("--frontends, --backends, --revnat and --source-ranges exclude each other");
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
            else if (parsed.GetValue(sourceRanges))
            {
                ListSourceRanges(maps, format, terminal);
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

    internal static void ListSourceRanges(LbMaps maps, OutputFormat format, Terminal terminal)
    {
        SourceRangeView[] entries = [.. SourceRangeView.All(maps)];
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, entries, OutputJson.Readable.SourceRangeViewArray);
            return;
        }

        var table = new TextTable("SERVICE", "ALLOWED SOURCES");
        foreach (SourceRangeView entry in entries)
        {
            table.Add(entry.Service, entry.Sources);
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }
}
