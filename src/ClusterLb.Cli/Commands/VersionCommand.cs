using System.CommandLine;
using System.Runtime.InteropServices;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb version</c>.</summary>
internal static class VersionCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("version", "Print version, commit and runtime");
        command.SetAction(parsed => Print(common.Format(parsed), terminal));
        return command;
    }

    private static void Print(OutputFormat format, Terminal terminal)
    {
        var version = new VersionView(
            BuildFacts.Version, BuildFacts.Commit, Environment.Version.ToString(), RuntimeInformation.RuntimeIdentifier);
        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, version, OutputJson.Readable.VersionView);
            return;
        }

        string commit = version.Commit.Length == 0 ? "" : $" ({version.Commit})";
        terminal.Out.WriteLine($"clusterlb {version.Version}{commit}, .NET {version.Runtime}, {version.Platform}");
    }
}
