namespace ClusterLb.ClusterRun.Checks;

/// <summary>What a check saw is not what Kubernetes promises.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
