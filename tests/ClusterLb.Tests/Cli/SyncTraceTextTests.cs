using ClusterLb.Agent.Admin;
using ClusterLb.Cli.Output;

namespace ClusterLb.Tests.Cli;

/// <summary>What <c>clusterlb sync trace</c> says when there is nothing to show.</summary>
public sealed class SyncTraceTextTests
{
    [Theory]
    [InlineData(null, "No change came since the agent's first complete list.")]
    [InlineData("nope/nope", "None of the changes that the trace holds is of nope/nope; without --service all are shown.")]
    public void Nothing_that_matches_is_told_apart_from_nothing_that_came(string? wanted, string want)
    {
        var report = new SyncTraceReport { Stages = [], Changes = [] };

        Assert.EndsWith($"\n{want}\n", CliRun.Text(terminal => SyncTraceText.Write(report, terminal, wanted)), StringComparison.Ordinal);
    }
}
