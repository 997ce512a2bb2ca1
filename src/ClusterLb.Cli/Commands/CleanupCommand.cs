using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb cleanup</c>.</summary>
internal static class CleanupCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("cleanup", "Stop the dataplane and leave the node as it was found");
        command.SetAction(_ => NotYet.Fail("cannot clean up"));
        return command;
    }
}
