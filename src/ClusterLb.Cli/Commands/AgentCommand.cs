using System.CommandLine;
using ClusterLb.Agent;
using ClusterLb.Agent.Configuration;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb agent</c>: the node daemon.</summary>
internal static class AgentCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var flags = new AgentFlags();
        var cleanup = new Option<bool>("--cleanup") { Description = "Leave the node as it was found, and end (as 'clusterlb cleanup')" };
        var command = new Command(
            "agent",
            "Run the node daemon: watch services, write maps, steer packets. Flags beat environment variables, these beat the file.");
        flags.AddTo(command);
        command.Add(cleanup);
        command.SetAction(async (parsed, stop) =>
        {
            if (parsed.GetValue(cleanup))
            {
                await CleanupCommand.RunAsync(common.StateDir(parsed), common.Format(parsed), terminal, stop);
                return;
            }

            AgentOptionsResult read = flags.Load(parsed, common.TypedStateDir(parsed));
            await NodeAgent.RunAsync(read.Options, read.Warnings, stop);
        });
        return command;
    }
}
