namespace ClusterLb.ClusterRun.Checks;

/// <summary>All checks under one service proxy.</summary>
/// <param name="Proxy">Which.</param>
/// <param name="MachineLoad">The machine's load average over the last minute, before the first check and after the last.</param>
/// <param name="Elapsed">From the first check to the last.</param>
/// <param name="Results">What came of them.</param>
internal sealed record CheckColumn(string Proxy, (string Before, string After) MachineLoad, TimeSpan Elapsed, IReadOnlyList<CheckResult> Results);
