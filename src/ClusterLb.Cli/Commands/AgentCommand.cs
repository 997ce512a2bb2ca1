using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb agent</c>: the node daemon.</summary>
internal static class AgentCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("agent", "Run the node daemon: watch services, write maps, steer packets");
        command.SetAction(_ => NotYet.Fail("cannot start the agent"));
        return command;
    }
}
