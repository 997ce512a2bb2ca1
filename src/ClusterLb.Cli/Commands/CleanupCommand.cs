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
        var kubeProxy = new Option<bool>("--kube-proxy")
        {
            Description = "Remove what a kube-proxy left on this node (chains, nft table, kube-ipvs0), and nothing of ClusterLb; refused while one runs",
        };
        command.Add(kubeProxy);
        command.SetAction((parsed, cancel) => parsed.GetValue(kubeProxy)
            ? TellAsync(common.Format(parsed), terminal, say => RemoveKubeProxyAsync(say))
            : RunAsync(common.StateDir(parsed), common.Format(parsed), terminal, cancel));
        return command;
    }

    /// <summary>Cleans up, and tells each thing that was done.</summary>
    internal static Task RunAsync(string stateDir, OutputFormat format, Terminal terminal, CancellationToken cancel) =>
        TellAsync(format, terminal, async say =>
        {
            try
            {
                await NodeCleanup.RunAsync(stateDir, say, cancel);
            }
            catch (AgentException e) when (e.InnerException is UnauthorizedAccessException)
            {
                throw new CommandException($"cannot clean up {stateDir}", e.Message.TrimEnd('.'), "run as root");
            }
        });

    private static Task RemoveKubeProxyAsync(Action<string> say)
    {
        KubeProxyCleanup.Run(say);
        return Task.CompletedTask;
    }

    private static async Task TellAsync(OutputFormat format, Terminal terminal, Func<Action<string>, Task> clean)
    {
        List<string> done = [];
        await clean(Say);
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
