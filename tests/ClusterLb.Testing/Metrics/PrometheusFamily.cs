namespace ClusterLb.Testing.Metrics;

/// <summary>A family of a scrape.</summary>
/// <param name="Name">Without the suffixes of histograms.</param>
/// <param name="Type">counter, gauge or histogram.</param>
/// <param name="Labels">Names that its series have, but le.</param>
/// <param name="Bounds">Upper bounds of a histogram, as written.</param>
public sealed record PrometheusFamily(string Name, string Type, IReadOnlySet<string> Labels, IReadOnlyList<string> Bounds)
{
    /// <summary>Everything but the values on one line, as lists of expected families have it: name, type, labels or -, bounds.</summary>
    public override string ToString() => string.Join(
        ' ',
        new[] { Name, Type, Labels.Count == 0 ? "-" : string.Join(',', Labels.Order(StringComparer.Ordinal)) }
            .Concat(Type == "histogram" ? [string.Join(',', Bounds)] : []));
}
