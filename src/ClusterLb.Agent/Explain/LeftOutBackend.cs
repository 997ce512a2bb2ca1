namespace ClusterLb.Agent.Explain;

/// <summary>A backend of the service port that this source cannot get.</summary>
/// <param name="Backend"><c>10.244.1.5:8080/TCP</c>.</param>
/// <param name="Why">In a few words.</param>
public sealed record LeftOutBackend(string Backend, string Why);
