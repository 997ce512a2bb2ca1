namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>How conformance cases fared. Flows are counted, not cases.</summary>
public sealed record VectorReport
{
    /// <summary>In the order of the files.</summary>
    public required IReadOnlyList<VectorCaseReport> Cases { get; init; }

    /// <summary>Flows that became what they should.</summary>
    public int Passed => Flows.Count(flow => flow.Pass == true);

    /// <summary>Flows that did not.</summary>
    public int Failed => Flows.Count(flow => flow.Pass == false);

    /// <summary>Flows that were not tried.</summary>
    public int Skipped => Flows.Count(flow => flow.Pass is null);

    private IEnumerable<VectorFlowReport> Flows => Cases.SelectMany(c => c.Steps).SelectMany(step => step.Flows);
}
