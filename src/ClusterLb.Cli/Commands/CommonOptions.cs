using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary>Options of every verb.</summary>
internal sealed class CommonOptions
{
    /// <summary>Where maps, flow tables and sockets are, if neither option nor environment say otherwise.</summary>
    public const string DefaultStateDir = "/run/clusterlb";

    private readonly Option<string> _format = new("--output", "-o")
    {
        Description = "Output format: table (for people) or json (for programs; explain --vectors: unless told otherwise)",
        HelpName = "table|json",
        DefaultValueFactory = _ => "table",
        Recursive = true,
    };

    /// <summary>Names the state directory where the command line does not.</summary>
    public const string StateDirVariable = "CLUSTERLB_STATE_DIR";

    private readonly Option<string> _stateDir = new("--state-dir")
    {
        Description = "Directory of maps, flow tables and sockets (environment: " + StateDirVariable + ")",
        HelpName = "DIR",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(StateDirVariable) is { Length: > 0 } dir
            ? dir
            : DefaultStateDir,
        Recursive = true,
    };

    /// <summary>Adds the options to <paramref name="root"/>, and so to every verb below it.</summary>
    public void AddTo(RootCommand root)
    {
        _format.AcceptOnlyFromAmong("table", "json");
        root.Add(_stateDir);
        root.Add(_format);
    }

    /// <summary>The state directory as an absolute path.</summary>
    public string StateDir(ParseResult parsed) => Path.GetFullPath(parsed.GetRequiredValue(_stateDir));

    /// <summary>The state directory if the command line names one; null if it does not.</summary>
    public string? TypedStateDir(ParseResult parsed) => parsed.GetResult(_stateDir) is { Implicit: false } ? StateDir(parsed) : null;

    /// <summary>For whom to print.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="usual">For whom, if it does not say.</param>
    public OutputFormat Format(ParseResult parsed, OutputFormat usual = OutputFormat.Table) =>
        parsed.GetResult(_format) is not { Implicit: false } ? usual
        : parsed.GetRequiredValue(_format) == "json" ? OutputFormat.Json : OutputFormat.Table;
}
