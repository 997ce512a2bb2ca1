namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>How an expectation of a step fared that is not about a flow.</summary>
/// <param name="Name">localReadyEndpoints, healthCheckNodePorts, or metrics with the metric's name.</param>
/// <param name="Pass">Null: not checked.</param>
/// <param name="Failures">What was not as expected.</param>
public sealed record VectorCheckReport(string Name, bool? Pass, IReadOnlyList<string>? Failures);
