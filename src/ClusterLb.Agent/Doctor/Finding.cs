namespace ClusterLb.Agent.Doctor;

/// <summary>What a check found.</summary>
/// <param name="Verdict">How bad it is.</param>
/// <param name="Text">What was seen, in one line, with the names and numbers that were seen.</param>
/// <param name="Cost">What it costs or breaks; empty if nothing.</param>
/// <param name="Advice">What to do about it; empty if nothing.</param>
public sealed record Finding(CheckVerdict Verdict, string Text, string Cost, string Advice)
{
    /// <summary>All is well.</summary>
    public static Finding Ok(string text) => new(CheckVerdict.Ok, text, "", "");

    /// <summary>Served, but worse than it could be.</summary>
    public static Finding Warning(string text, string cost, string advice) => new(CheckVerdict.Warning, text, cost, advice);

    /// <summary>Some traffic is not served as it should be.</summary>
    public static Finding Failed(string text, string cost, string advice) => new(CheckVerdict.Failed, text, cost, advice);

    /// <summary>There is nothing to check.</summary>
    public static Finding NotApplicable(string text) => new(CheckVerdict.NotApplicable, text, "", "");
}
