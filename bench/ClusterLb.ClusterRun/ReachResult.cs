namespace ClusterLb.ClusterRun;

/// <summary>Whether an origin reaches the service.</summary>
/// <param name="Origin">From where.</param>
/// <param name="How">By which address.</param>
/// <param name="Outcome">The source address that the pod saw, or why there was no answer.</param>
internal sealed record ReachResult(string Origin, string How, string Outcome);
