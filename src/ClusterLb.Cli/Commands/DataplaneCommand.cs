using System.CommandLine;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb dataplane</c>: the process without rights, started by the agent and by nobody else.</summary>
internal static class DataplaneCommand
{
    public static Command Create()
    {
        var controlFd = new Option<int>("--control-fd") { Description = "Inherited control socket", Required = true };
        var leaseFd = new Option<int>("--lease-fd") { Description = "Inherited lease on dataplane.lock", Required = true };
        var command = new Command("dataplane", "Carry packets (internal: started by the agent)") { controlFd, leaseFd };
        command.Hidden = true;
        command.SetAction(parsed => DataplaneProcess.Run(parsed.GetRequiredValue(controlFd), parsed.GetRequiredValue(leaseFd)));
        return command;
    }
}
