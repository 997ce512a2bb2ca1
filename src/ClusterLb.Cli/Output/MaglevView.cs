using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>The Maglev tables.</summary>
/// <param name="Seed">Of the cluster, as base64: nodes that differ in it choose differently.</param>
/// <param name="TableSize">Slots of each table.</param>
/// <param name="Tables">One for each set of backends that is chosen from by a hash.</param>
internal sealed record MaglevView(string Seed, int TableSize, IReadOnlyList<MaglevTableView> Tables)
{
    /// <summary>The tables whose service a person means by <paramref name="which"/>; all if it is null.</summary>
    public static MaglevView Of(LbMaps maps, string? which)
    {
        IEnumerable<MaglevTableView> tables = maps.Maglev.Keys()
            .Select(key => MaglevTableView.Of(maps, key))
            .OfType<MaglevTableView>()
            .Where(table => which is null || table.Matches(which))
            .OrderBy(table => table.Service, StringComparer.Ordinal).ThenBy(table => table.ServicePortId).ThenBy(table => table.Set, StringComparer.Ordinal);
        return new MaglevView(maps.Maglev.Seed.ToString(), maps.Maglev.TableSize, [.. tables]);
    }
}
