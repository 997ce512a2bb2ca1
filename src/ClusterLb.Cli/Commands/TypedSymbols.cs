using System.CommandLine;
using System.CommandLine.Parsing;

namespace ClusterLb.Cli.Commands;

/// <summary>For validators of a verb: they run before its options are checked, and to ask for a value that cannot be read would throw.</summary>
internal static class TypedSymbols
{
    /// <summary>It stands on the command line, with a good value, a bad one or none.</summary>
    public static bool IsTyped(this CommandResult result, Option option) => result.GetResult(option) is { Implicit: false };

    /// <inheritdoc cref="IsTyped(CommandResult, Option)"/>
    public static bool IsTyped(this CommandResult result, Argument argument) => result.GetResult(argument) is { Tokens.Count: > 0 };
}
