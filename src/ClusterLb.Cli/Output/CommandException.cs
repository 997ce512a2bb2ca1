namespace ClusterLb.Cli.Output;

/// <summary>A command cannot do what it was asked: becomes one line on standard error and exit status 1, or 2 for <see cref="IsUsage"/>.</summary>
/// <param name="what">What failed, on what: <c>cannot read maps of /run/clusterlb</c>.</param>
/// <param name="why">The cause: <c>no such directory</c>.</param>
/// <param name="remedy">What the operator can do; empty if nothing is known.</param>
internal sealed class CommandException(string what, string why, string remedy = "")
    : Exception(remedy.Length == 0 ? $"{what}: {why}" : $"{what}: {why}; {remedy}")
{
    /// <summary>Several causes at once. One stands on the line itself, more of them below it, each on its own.</summary>
    public CommandException(string what, IReadOnlyList<string> problems)
        : this(what, problems.Count == 1 ? problems[0] : $"{problems.Count} problems") => Problems = problems.Count == 1 ? [] : problems;

    /// <summary>What was typed cannot be understood.</summary>
    public bool IsUsage { get; init; }

    /// <summary>The causes, if they are several; else empty.</summary>
    public IReadOnlyList<string> Problems { get; } = [];
}
