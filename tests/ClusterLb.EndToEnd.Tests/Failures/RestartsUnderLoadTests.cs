using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>
/// Agent, dataplane and both are killed and ended, again and again, under load: no connection is lost and no byte is wrong, for
/// pods, the node itself and clients outside, TCP and UDP, IPv4 and IPv6 (docs/reliability.md).
/// </summary>
[Collection(ExposedLabCollection.Name)]
public sealed class RestartsUnderLoadTests(ExposedLabFixture fixture, ITestOutputHelper output)
{
    private const string NodeName = "node-a";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>How many; each kind in turn, half of them killed and half asked to end.</summary>
    private static readonly int Restarts = int.Parse(
        Environment.GetEnvironmentVariable("CLUSTERLB_RESTARTS") ?? "8", CultureInfo.InvariantCulture);

    private AgentProcess Agent => fixture.Lab.Agent(NodeName);

    [LabFact]
    public async Task No_connection_is_lost_however_often_agent_and_dataplane_are_restarted()
    {
        using var stop = new CancellationTokenSource();
        List<CheckedStream> tcp = await fixture.StartStreamsFromEverywhereAsync(udp: false, Patience);
        List<CheckedStream> udp = await fixture.StartStreamsFromEverywhereAsync(udp: true, Patience);
        List<CheckedStream> all = [.. tcp, .. udp];
        Task<List<string>> newConnections = ConnectAgainAndAgainAsync(stop.Token);
        var report = new RestartReport();
        try
        {
            int quiet = 1 + (Restarts / Kinds.Length);
            for (int i = -quiet; i < Restarts; i++)
            {
                (string kind, Func<bool, Task> restart) = i < 0 ? ("nothing, for comparison", Pause) : Kinds[i / 2 % Kinds.Length];
                bool kill = i % 2 == 0;
                await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
                await Task.WhenAll(all.Select(s => s.WaitForMoreAsync(50)));
                long lost = udp.Sum(s => s.Lost);
                all.ForEach(s => s.TakeLongestGapMs());

                await restart(kill);

                await Task.WhenAll(all.Select(s => s.WaitForMoreAsync(50)));
                report.Add(i < 0 ? kind : $"{kind}, {(kill ? "kill -9" : "TERM")}", new RestartRound(
                    tcp.Max(s => s.TakeLongestGapMs()), udp.Max(s => s.TakeLongestGapMs()), udp.Sum(s => s.Lost) - lost));
                Assert.All(all, stream => Assert.Equal("", stream.Failure));
            }
        }
        finally
        {
            await stop.CancelAsync();
            Say(report);
        }

        Assert.Empty(await newConnections);
        foreach (CheckedStream stream in all)
        {
            StreamReport end = await stream.StopAsync();
            await stream.DisposeAsync();
            Assert.Equal("", end.Failure);
        }

        fixture.AssertNoDamage();
    }

    private (string Kind, Func<bool, Task> Restart)[] Kinds =>
    [
        ("agent", RestartAgentAsync), ("dataplane", RestartDataplaneAsync), ("both at once", RestartBothAsync),
        ("both and the successor", RestartAllAsync),
    ];

    private static Task Pause(bool kill) => Task.Delay(TimeSpan.FromSeconds(1));

    private async Task RestartAgentAsync(bool kill)
    {
        int dataplane = Agent.DataplaneProcessId;
        End(Agent.ProcessId, kill);
        await Eventually.IsAsync("the agent is gone", () => Agent.ProcessId == 0);
        Agent.Start();
        await Agent.WaitUntilHealthyAsync(Patience);
        Assert.Equal(dataplane, Agent.DataplaneProcessId); // adopted
    }

    private async Task RestartDataplaneAsync(bool kill)
    {
        int before = Agent.DataplaneProcessId;
        End(before, kill);
        await Eventually.IsAsync("another dataplane serves", () => Agent.DataplaneProcessId is var now && now != 0 && now != before);
        await Agent.WaitUntilHealthyAsync(Patience);
    }

    private async Task RestartBothAsync(bool kill)
    {
        (int agent, int dataplane) = (Agent.ProcessId, Agent.DataplaneProcessId);
        End(agent, kill);
        End(dataplane, kill);
        await Eventually.IsAsync("both are gone", () => !IsAlive(agent) && !IsAlive(dataplane));
        Agent.Start();
        await Agent.WaitUntilHealthyAsync(Patience);
    }

    private async Task RestartAllAsync(bool kill)
    {
        int[] processes = [Agent.ProcessId, Agent.SuccessorProcessId, Agent.DataplaneProcessId];
        Array.ForEach(processes, process => End(process, kill));
        await Eventually.IsAsync("all are gone", () => !processes.Any(IsAlive));
        Agent.Start();
        await Agent.WaitUntilHealthyAsync(Patience);
    }

    /// <summary>New connections all the while: a SYN may have to be sent again, but each succeeds.</summary>
    private async Task<List<string>> ConnectAgainAndAgainAsync(CancellationToken stop)
    {
        var failures = new List<string>();
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            Attempt attempt = await Connector.OnceAsync(fixture.To("client-a", "web", i % 2 == 1, 80), ConnectProtocol.Http, Patience, CancellationToken.None);
            if (attempt.Failure.Length > 0)
            {
                failures.Add(attempt.Failure);
            }

            await Task.Delay(10, CancellationToken.None);
        }

        return failures;
    }

    private void Say(RestartReport report)
    {
        output.WriteLine(report.ToMarkdown());
        if (Environment.GetEnvironmentVariable("CLUSTERLB_RESTART_REPORT") is { Length: > 0 } file)
        {
            File.WriteAllText(file, report.ToMarkdown());
        }
    }

    private static void End(int process, bool kill) => LabInterop.Signal(process, kill ? LabInterop.SigKill : LabInterop.SigTerm);

    /// <summary>One that nobody has waited for yet has no descriptors.</summary>
    private static bool IsAlive(int process)
    {
        try
        {
            return Directory.EnumerateFiles($"/proc/{process}/fd").Any();
        }
        catch (IOException)
        {
            return false; // it may go between any two looks
        }
    }
}
