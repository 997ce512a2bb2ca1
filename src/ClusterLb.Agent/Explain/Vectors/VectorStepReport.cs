namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>How one step fared.</summary>
/// <param name="Flows">In order.</param>
/// <param name="Problems">What the control plane has against the step's objects; null if nothing.</param>
/// <param name="Unchecked">Expectations of the step that are not about flows and that this version does not check; null if none.</param>
public sealed record VectorStepReport(
    IReadOnlyList<VectorFlowReport> Flows, IReadOnlyList<string>? Problems, IReadOnlyList<string>? Unchecked)
{
    /// <summary>Expectations of the step that are not about flows; null if it has none.</summary>
    public IReadOnlyList<VectorCheckReport>? Checks { get; init; }
}
