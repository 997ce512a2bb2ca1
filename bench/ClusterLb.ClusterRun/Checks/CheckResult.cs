namespace ClusterLb.ClusterRun.Checks;

/// <summary>What came of one check.</summary>
/// <param name="Group">What it is about.</param>
/// <param name="Name">What is so, if it passed.</param>
/// <param name="Failure">Empty, or what was seen instead.</param>
/// <param name="Elapsed">From its objects to the verdict.</param>
internal sealed record CheckResult(string Group, string Name, string Failure, TimeSpan Elapsed)
{
    public bool Passed => Failure.Length == 0;
}
