using System.CommandLine;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary><c>clusterlb bpf ct list|flush</c>: the conntrack table.</summary>
internal static class BpfCtCommand
{
    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var list = new Command("list", "List the flows in the conntrack table");
        list.SetAction(_ => NotYet.Fail("cannot list flows"));
        var flush = new Command("flush", "Forget flows");
        flush.SetAction(_ => NotYet.Fail("cannot flush flows"));
        return new Command("ct", "Connection tracking") { list, flush };
    }
}
