namespace ClusterLb.ClusterRun;

/// <summary>All that was seen under one service proxy.</summary>
internal sealed record ColumnResult(
    string Proxy, IReadOnlyList<ReachResult> Reached, IReadOnlyList<StepResult> Requests, IReadOnlyList<StepResult> Datagrams);
