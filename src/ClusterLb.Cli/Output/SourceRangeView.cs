using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Cli.Output;

/// <summary>One entry of the source range map.</summary>
/// <param name="Service">Whose filtered frontends.</param>
/// <param name="ServicePortId">Its id.</param>
/// <param name="Sources">A block that is let in.</param>
internal sealed record SourceRangeView(string Service, uint ServicePortId, string Sources)
{
    /// <summary>All entries, those of a service together.</summary>
    public static IEnumerable<SourceRangeView> All(LbMaps maps) => maps.SourceRanges.Entries()
        .Select(entry => entry.Key)
        .Select(key => (Key: key, Service: maps.ServiceNames.TryLookup(key.ServicePortId, out string? name) ? name : $"service port {key.ServicePortId}"))
        .OrderBy(e => e.Service, StringComparer.Ordinal).ThenBy(e => e.Key.ServicePortId).ThenBy(e => e.Key.Sources)
        .Select(e => new SourceRangeView(e.Service, e.Key.ServicePortId, e.Key.Sources.ToString()));
}
