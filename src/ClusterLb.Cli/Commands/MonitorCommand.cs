using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb monitor</c>: live packets.</summary>
internal static class MonitorCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var types = new Option<string[]>("--type", "-t")
        {
            Description = "Only packets with this verdict; may be repeated",
            HelpName = "drop|forward|reject|pass",
        };
        types.AcceptOnlyFromAmong("drop", "forward", "reject", "pass");
        var command = new Command("monitor", "Show packets as they pass, one per line, with verdict and reason") { types };
        command.SetAction(_ => NotYet.Fail("cannot monitor"));
        return command;
    }
}
