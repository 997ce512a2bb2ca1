namespace ClusterLb.Agent.Doctor;

/// <summary>One row of <c>doctor</c>.</summary>
/// <param name="Name">Of the check: a few words, the same in every release.</param>
/// <param name="Verdict">How bad it is.</param>
/// <param name="Finding">What was seen.</param>
/// <param name="Cost">What it costs or breaks; empty if nothing.</param>
/// <param name="Advice">What to do about it; empty if nothing.</param>
public sealed record CheckResult(string Name, CheckVerdict Verdict, string Finding, string Cost, string Advice);
