namespace ClusterLb.ClusterRun;

/// <summary>All that was seen under one service proxy.</summary>
/// <param name="Proxy">Which.</param>
/// <param name="MachineLoad">The machine's load average over the last minute, before the first step and after the last.</param>
/// <param name="Reached">Who reached it, and how.</param>
/// <param name="Requests">What became of the HTTP requests of each step.</param>
/// <param name="Datagrams">What became of the datagrams of each step.</param>
internal sealed record ColumnResult(
    string Proxy, (string Before, string After) MachineLoad, IReadOnlyList<ReachResult> Reached, IReadOnlyList<StepResult> Requests, IReadOnlyList<StepResult> Datagrams);
