namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>How conformance cases fared. Flows are counted, and what a step expects beside them; not cases.</summary>
public sealed record VectorReport
{
    /// <summary>In the order of the files.</summary>
    public required IReadOnlyList<VectorCaseReport> Cases { get; init; }

    /// <summary>What became as it should.</summary>
    public int Passed => Outcomes.Count(pass => pass == true);

    /// <summary>What did not.</summary>
    public int Failed => Outcomes.Count(pass => pass == false);

    /// <summary>What was not tried.</summary>
    public int Skipped => Outcomes.Count(pass => pass is null);

    private IEnumerable<bool?> Outcomes => Cases.SelectMany(c => c.Steps)
        .SelectMany(step => step.Flows.Select(flow => flow.Pass).Concat((step.Checks ?? []).Select(check => check.Pass)));
}
