namespace ClusterLb.Cli.Output;

/// <summary>What <c>version -o json</c> prints.</summary>
/// <param name="Version">Of the release.</param>
/// <param name="Commit">Twelve digits; empty if the program was built outside of a checkout.</param>
/// <param name="Runtime">Of .NET.</param>
/// <param name="Platform">Runtime identifier: <c>linux-x64</c>.</param>
internal sealed record VersionView(string Version, string Commit, string Runtime, string Platform);
