using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb explain</c>: what would happen to a packet, and why.</summary>
internal static class ExplainCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("explain", "Tell what happens to a packet, and why");
        command.SetAction(_ => NotYet.Fail("cannot explain"));
        return command;
    }
}
