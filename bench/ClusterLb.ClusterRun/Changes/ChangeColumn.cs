namespace ClusterLb.ClusterRun.Changes;

/// <summary>All that was seen under one service proxy.</summary>
/// <param name="Proxy">Which.</param>
/// <param name="MachineLoad">The machine's load average over the last minute, before the first step and after the last.</param>
/// <param name="Steps">What became of the traffic in each step; nothing was counted in those that do not apply.</param>
internal sealed record ChangeColumn(string Proxy, (string Before, string After) MachineLoad, IReadOnlyList<ChangeResult> Steps);
