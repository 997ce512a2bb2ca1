namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>How one case fared.</summary>
/// <param name="Id">The case's.</param>
/// <param name="Title">The case's.</param>
/// <param name="Steps">In order.</param>
public sealed record VectorCaseReport(string Id, string Title, IReadOnlyList<VectorStepReport> Steps);
