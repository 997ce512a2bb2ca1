using System.CommandLine;
using ClusterLb.Agent;
using ClusterLb.Agent.Doctor;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb doctor</c>.</summary>
internal static class DoctorCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("doctor", "Look for whatever keeps Service traffic from flowing on this node, and say what to do. Exit status 1 if a check failed");
        command.SetAction(async (parsed, cancel) =>
        {
            DoctorReport report = await ExamineAsync(common.StateDir(parsed), cancel);
            if (common.Format(parsed) == OutputFormat.Json)
            {
                JsonOutput.WriteDocument(terminal.Out, report, OutputJson.Readable.DoctorReport);
            }
            else
            {
                DoctorText.Write(report, terminal);
            }

            return report.IsHealthy ? ExitStatus.Success : ExitStatus.Failure;
        });
        return command;
    }

    private static async Task<DoctorReport> ExamineAsync(string stateDir, CancellationToken cancel)
    {
        try
        {
            return await NodeDoctor.ExamineAsync(stateDir, cancel);
        }
        catch (AgentException e)
        {
            throw new CommandException($"cannot examine {stateDir}", e.Message.TrimEnd('.'), "");
        }
    }
}
