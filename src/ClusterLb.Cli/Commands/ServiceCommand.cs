using System.CommandLine;
using System.Globalization;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb service list|get</c>: frontends and their backends, read from the maps.</summary>
internal static class ServiceCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var list = new Command("list", "List all frontends with their backends");
        list.SetAction(parsed =>
        {
            using LbMaps maps = StateFiles.OpenMaps(common.StateDir(parsed));
            List(FrontendView.All(maps), common.Format(parsed), terminal);
        });

        var which = new Argument<string>("which")
        {
            Description = "Frontend id, address[:port[/protocol]], or [namespace/]name[:port]",
        };
        var get = new Command("get", "Show one service or frontend") { which };
        get.SetAction(parsed =>
        {
            using LbMaps maps = StateFiles.OpenMaps(common.StateDir(parsed));
            Get(FrontendView.All(maps), parsed.GetRequiredValue(which), common.Format(parsed), terminal);
        });

        return new Command("service", "Show services as the dataplane sees them") { list, get };
    }

    /// <summary>Prints <paramref name="frontends"/> in the shape of <c>cilium service list</c>.</summary>
    internal static void List(IEnumerable<FrontendView> frontends, OutputFormat format, Terminal terminal)
    {
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, [.. frontends], OutputJson.Readable.FrontendViewArray);
            return;
        }

        var table = new TextTable("ID", "Frontend", "Service Type", "Service", "Backend");
        foreach (FrontendView view in frontends)
        {
            table.Add(Id(view), view.Frontend, view.Type, view.Service, Backends(view));
        }

        table.WriteTo(terminal.Out, terminal.Width);
    }

    /// <summary>Prints those of <paramref name="frontends"/> that <paramref name="which"/> names.</summary>
    /// <exception cref="CommandException">None, or a name without namespace that several have.</exception>
    internal static void Get(IEnumerable<FrontendView> frontends, string which, OutputFormat format, Terminal terminal)
    {
        FrontendView[] all = [.. frontends];
        FrontendView[] found = [.. all.Where(view => view.Matches(which))];
        if (found.Length == 0)
        {
            found = [.. all.Where(view => view.MatchesBareName(which))];
            string[] names = [.. found.Select(view => view.Service.Split(':')[0]).Distinct(StringComparer.Ordinal)];
            if (names.Length > 1)
            {
                throw new CommandException(
                    $"cannot show service '{which}'", $"several namespaces have one ({string.Join(", ", names)})", "write the namespace, too");
            }
        }

        if (found.Length == 0)
        {
            throw new CommandException(
                $"cannot show service '{which}'", "no frontend has this id, address or name", "'clusterlb service list' shows all");
        }

        List(found, format, terminal);
    }

    private static string Id(FrontendView view) => view.Id.ToString(CultureInfo.InvariantCulture);

    private static string Backends(FrontendView view)
    {
        bool hasTwoScopes = view.InternalBackends is not null;
        string canary = $"canary {view.SharePercent}%";
        string[] lines =
        [
            .. Lines(view.Backends, hasTwoScopes ? "external" : ""),
            .. Lines(view.CanaryBackends, hasTwoScopes ? $"external, {canary}" : canary),
            .. Lines(view.InternalBackends, "internal"),
            .. Lines(view.InternalCanaryBackends, $"internal, {canary}"),
        ];
        string text = string.Join('\n', lines);
        return text.Length == 0 ? "(none)" : text;
    }

    private static IEnumerable<string> Lines(IReadOnlyList<SlotView>? slots, string which) =>
        (slots ?? []).Select(slot => which.Length == 0 ? slot.ToString() : $"{slot} [{which}]");
}
