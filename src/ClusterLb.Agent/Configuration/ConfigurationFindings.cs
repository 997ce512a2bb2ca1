namespace ClusterLb.Agent.Configuration;

/// <summary>What was found while a configuration was read.</summary>
/// <param name="Source">Name of the file, for messages.</param>
internal sealed record ConfigurationFindings(string Source)
{
    /// <summary>What must be corrected.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>What is accepted, but not as its author may expect.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Adds a problem; one of a field that is read for two purposes counts once.</summary>
    public void AddProblem(string problem)
    {
        if (!Problems.Contains(problem, StringComparer.Ordinal))
        {
            Problems.Add(problem);
        }
    }
}
