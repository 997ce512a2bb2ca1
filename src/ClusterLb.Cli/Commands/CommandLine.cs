using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary>The program's verbs, and what becomes of mistakes.</summary>
internal static class CommandLine
{
    private const string DebugVariable = "CLUSTERLB_DEBUG";

    /// <summary>After INT or TERM a verb that listens (agent, monitor, lab) has this long to end in order.</summary>
    private static readonly TimeSpan LongestGoodbye = TimeSpan.FromMinutes(1);

    /// <summary>Parses, runs one verb, and returns the exit status. Never throws.</summary>
    public static async Task<int> RunAsync(string[] args, Terminal terminal)
    {
        // As every program has it; VersionOption itself would read attributes.
        ParseResult parsed = Create(terminal).Parse(args is ["--version", ..] ? ["version", .. args[1..]] : args);
        if (parsed.Errors.Count > 0)
        {
            return Refuse(parsed, terminal);
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                Output = terminal.Out,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = LongestGoodbye,
            });
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return Fail(e, parsed, terminal);
        }
    }

    internal static RootCommand Create(Terminal terminal)
    {
        var common = new CommonOptions();
        var root = new RootCommand(
            "ClusterLb balances Kubernetes Service traffic in user space: a replacement of kube-proxy.\n" +
            "Exit status: 0 done, 1 failed, 2 command line not understood.")
        {
            HelpName = "clusterlb",
        };
        common.AddTo(root);
        root.Options.Remove(root.Options.Single(o => o is VersionOption)); // it reads attributes; the verb does not

        root.Add(AgentCommand.Create(common, terminal));
        root.Add(DataplaneCommand.Create());
        root.Add(StatusCommand.Create(common, terminal));
        root.Add(DoctorCommand.Create(common, terminal));
        root.Add(SyncCommand.Create(common, terminal));
        root.Add(ServiceCommand.Create(common, terminal));
        root.Add(BpfCommand.Create(common, terminal));
        root.Add(ExplainCommand.Create(common, terminal));
        root.Add(ReplayCommand.Create(common, terminal));
        root.Add(MonitorCommand.Create(common, terminal));
        root.Add(CleanupCommand.Create(common, terminal));
        root.Add(LabCommand.Create(common, terminal));
        root.Add(VersionCommand.Create(common, terminal));
        return root;
    }

    private static int Refuse(ParseResult parsed, Terminal terminal)
    {
        string verb = Path(parsed);
        terminal.Error.WriteLine($"{verb}: {Problems(parsed)}; see '{verb} --help'");
        return ExitStatus.Usage;
    }

    private static string Problems(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        if (command.Subcommands.Count == 0)
        {
            bool isFlagOfKubeProxy = command.Name == "agent" && parsed.UnmatchedTokens.Any(token => token.StartsWith("--", StringComparison.Ordinal));
            string hint = isFlagOfKubeProxy ? "; what else kube-proxy has as a flag is a field of the file of --config" : "";
            return string.Join(", ", parsed.Errors.Select(e => WithoutType(OneLine(e.Message)).TrimEnd('.')).Distinct(StringComparer.Ordinal)) + hint;
        }

        string verbs = string.Join(", ", command.Subcommands.Where(c => !c.Hidden).Select(c => c.Name));
        return parsed.UnmatchedTokens.Count > 0
            ? $"unknown command '{parsed.UnmatchedTokens[0]}' (there are {verbs})"
            : $"a command is missing (there are {verbs})";
    }

    /// <summary>The parser names the .NET type that a value should have had; people do not know it.</summary>
    private static string WithoutType(string message)
    {
        const string Before = " as expected type '";
        int start = message.IndexOf(Before, StringComparison.Ordinal);
        int end = start < 0 ? -1 : message.IndexOf('\'', start + Before.Length);
        return end < 0 ? message : message.Remove(start, end + 1 - start);
    }

    private static int Fail(Exception e, ParseResult parsed, Terminal terminal)
    {
        string message = OneLine(e.Message);
        terminal.Error.WriteLine(e is CommandException ? $"clusterlb: {message}" : $"{Path(parsed)}: {message}");
        foreach (string problem in e is CommandException told ? told.Problems : [])
        {
            terminal.Error.WriteLine($"  {OneLine(problem)}");
        }

        if (Environment.GetEnvironmentVariable(DebugVariable) == "1")
        {
            terminal.Error.WriteLine(e);
        }

        return e is CommandException { IsUsage: true } ? ExitStatus.Usage : ExitStatus.Failure;
    }

    private static string OneLine(string message) => string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The verb with its parents, as it was typed: <c>clusterlb bpf ct list</c>.</summary>
    private static string Path(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (Symbol? symbol = parsed.CommandResult.Command; symbol is not null and not RootCommand; symbol = symbol.Parents.FirstOrDefault())
        {
            names.Push(symbol.Name);
        }

        return string.Join(' ', names.Prepend("clusterlb"));
    }
}
