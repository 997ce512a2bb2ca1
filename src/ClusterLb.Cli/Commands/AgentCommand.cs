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
        var initOnly = new Option<bool>("--init-only") { Description = "Do what needs all rights of root, and end; the agent itself needs CAP_NET_ADMIN" };
        var writeConfigTo = new Option<string?>("--write-config-to")
        {
            Description = "Write the configuration that would be in effect to this file, and end",
            HelpName = "FILE",
        };
        var command = new Command(
            "agent",
            "Run the node daemon: watch services, write maps, steer packets. Flags beat environment variables, these beat the file.");
        flags.AddTo(command);
        command.Add(cleanup);
        command.Add(initOnly);
        command.Add(writeConfigTo);
        command.SetAction(async (parsed, stop) =>
        {
            if (parsed.GetValue(cleanup))
            {
                await CleanupCommand.RunAsync(common.StateDir(parsed), common.Format(parsed), terminal, stop);
                return;
            }

            AgentOptionsResult read = flags.Load(parsed, common.TypedStateDir(parsed));
            if (parsed.GetValue(writeConfigTo) is { Length: > 0 } file)
            {
                Write(read, file, terminal);
                return;
            }

            if (parsed.GetValue(initOnly))
            {
                NodeAgent.Prepare(read.Options);
                return;
            }

            await NodeAgent.RunAsync(read.Options, read.Warnings, stop);
        });
        return command;
    }

    private static void Write(AgentOptionsResult read, string file, Terminal terminal)
    {
        foreach (string warning in read.Warnings)
        {
            terminal.Error.WriteLine($"warning: {warning}");
        }

        try
        {
            File.WriteAllText(file, EffectiveConfiguration.Yaml(read.Options));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"cannot write the configuration to {file}", e.Message);
        }
    }
}
