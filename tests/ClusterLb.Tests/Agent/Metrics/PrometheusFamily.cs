namespace ClusterLb.Tests.Agent.Metrics;

/// <summary>A family of a scrape.</summary>
/// <param name="Name">Without the suffixes of histograms.</param>
/// <param name="Type">counter, gauge or histogram.</param>
/// <param name="Labels">Names that its series have, but le.</param>
/// <param name="Bounds">Upper bounds of a histogram, as written.</param>
internal sealed record PrometheusFamily(string Name, string Type, IReadOnlySet<string> Labels, IReadOnlyList<string> Bounds);
