using System.CommandLine;
using ClusterLb.Dataplane.Host;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb dataplane</c>: the process without rights, started by the agent and by nobody else.</summary>
internal static class DataplaneCommand
{
    private const string LeaseFd = "--lease-fd";

    /// <summary>For help and for mistakes; what the agent starts is seen by <see cref="IsStart"/> before.</summary>
    public static Command Create()
    {
        var controlFd = new Option<int>(DataplaneProcess.ControlOption) { Description = "Inherited control socket", Required = true, CustomParser = NumberText.Parse<int> };
        var leaseFd = new Option<int>(LeaseFd) { Description = "Inherited lease on dataplane.lock", Required = true, CustomParser = NumberText.Parse<int> };
        var command = new Command(DataplaneProcess.Verb, "Carry packets (internal: started by the agent)") { controlFd, leaseFd };
        command.Aliases.Add(DataplaneProcess.SuccessorVerb);
        command.SetAction(parsed => Run(parsed.GetRequiredValue(controlFd), parsed.GetRequiredValue(leaseFd)));
        return command;
    }

    /// <summary>True for the words that the agent starts its child with.</summary>
    public static bool IsStart(string[] args, out int controlFd, out int leaseFd)
    {
        controlFd = leaseFd = -1;
        return args is [DataplaneProcess.Verb or DataplaneProcess.SuccessorVerb, DataplaneProcess.ControlOption, var control, LeaseFd, var lease]
            && int.TryParse(control, out controlFd) && int.TryParse(lease, out leaseFd);
    }

    /// <summary>Carries packets until told to stop.</summary>
    /// <returns>The exit status.</returns>
    public static int Run(int controlFd, int leaseFd) => DataplaneProcess.Run(controlFd, leaseFd);
}
