namespace ClusterLb.Cli.Output;

/// <summary>What <c>cleanup -o json</c> prints.</summary>
/// <param name="Done">One line per thing that was removed or put back.</param>
internal sealed record CleanupView(IReadOnlyList<string> Done);
