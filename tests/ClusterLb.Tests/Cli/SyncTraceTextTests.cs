using ClusterLb.Agent.Admin;
using ClusterLb.Cli.Output;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Tests.Cli;

/// <summary>What <c>clusterlb sync trace</c> says beside the figures.</summary>
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

    [Theory]
    [InlineData(0.4, 0.0, 0.0, "no packet yet")]
    [InlineData(2.5, 2.0, 0.3, "no packet yet; 2.0 ms of the writing: waiting for its turn")]
    [InlineData(13.2, 0.1, 12.8, "no packet yet; 12.8 ms of the writing: garbage collection")]
    public void What_took_most_of_a_long_writing_is_named(double write, double wait, double gc, string want)
    {
        var change = new TracedChange
        {
            Number = 1,
            Service = "test/web",
            Kind = "EndpointSlice",
            Object = "test/web-1",
            Received = DateTimeOffset.UnixEpoch,
            WriteMs = write,
            WaitMs = wait,
            GcMs = gc,
            FirstPacket = FirstPacket.Awaited,
        };

        string text = CliRun.Text(terminal => SyncTraceText.Write(new SyncTraceReport { Stages = [], Changes = [change] }, terminal));

        Assert.EndsWith($"  {want}", text.TrimEnd(), StringComparison.Ordinal);
    }
}
