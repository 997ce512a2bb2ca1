using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb status</c>.</summary>
internal static class StatusCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("status", "Show agent, dataplane, maps and flow tables");
        command.SetAction(_ => NotYet.Fail("cannot show the status"));
        return command;
    }
}
