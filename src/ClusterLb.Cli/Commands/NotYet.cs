using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary>Stands in for a verb that this build cannot serve.</summary>
internal static class NotYet
{
    public static int Fail(string what) => throw new CommandException(what, "it is not part of this build");
}
