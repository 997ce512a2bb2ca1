using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf</c>: the raw maps, under the name that people know from Cilium.</summary>
internal static class BpfCommand
{
    public static Command Create(CommonOptions common, Terminal terminal) =>
        new("bpf", "Show maps and flow tables entry by entry (no BPF involved: the layout and the words are Cilium's)")
        {
            BpfLbCommand.Create(common, terminal),
            BpfCtCommand.Create(common, terminal),
            BpfAffinityCommand.Create(common, terminal),
        };
}
