using System.CommandLine;
using ClusterLb.Agent;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb cleanup</c>.</summary>
internal static class CleanupCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("cleanup", "Stop the dataplane and leave the node as it was found: rules, routes, device, state directory");
        command.SetAction((parsed, cancel) => RunAsync(common.StateDir(parsed), common.Format(parsed), terminal, cancel));
        return command;
    }

    /// <summary>Cleans up, and tells each thing that was done.</summary>
    internal static async Task RunAsync(string stateDir, OutputFormat format, Terminal terminal, CancellationToken cancel)
    {
        List<string> done = [];
        try
        {
            await NodeCleanup.RunAsync(stateDir, Say, cancel);
        }
        catch (AgentException e) when (e.InnerException is UnauthorizedAccessException)
        {
            throw new CommandException($"cannot clean up {stateDir}", e.Message.TrimEnd('.'), "run as root");
        }

        if (format == OutputFormat.Json)
        {
            JsonOutput.WriteDocument(terminal.Out, new CleanupView(done), OutputJson.Readable.CleanupView);
        }
        else if (done.Count == 0)
        {
            terminal.Out.WriteLine("nothing to clean up");
        }

        void Say(string line)
        {
            done.Add(line);
            if (format == OutputFormat.Table)
            {
                terminal.Out.WriteLine(line);
            }
        }
    }
}
