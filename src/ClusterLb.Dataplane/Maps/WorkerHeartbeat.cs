namespace ClusterLb.Dataplane.Maps;

/// <summary>The last sign of life of one dataplane worker.</summary>
/// <param name="Incarnation">Of the dataplane process; rises with every start.</param>
/// <param name="Worker">From 0.</param>
/// <param name="TimeNs">CLOCK_MONOTONIC, nanoseconds.</param>
/// <param name="IsOnline">Between two packets of a batch, not waiting for one.</param>
public readonly record struct WorkerHeartbeat(ulong Incarnation, int Worker, long TimeNs, bool IsOnline);
