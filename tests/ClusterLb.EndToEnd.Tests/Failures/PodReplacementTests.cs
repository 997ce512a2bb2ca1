using ClusterLb.Agent.DataplaneChild;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The agent in a container that is ended whole: the dataplane has left it and serves on (docs/design/outliving-the-pod.md).</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class PodReplacementTests(ChangingLabFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private string _configuration = "";

    private AgentProcess Agent => fixture.Lab.Agent("node-a");

    public Task InitializeAsync()
    {
        if (Container.Reason is null)
        {
            _configuration = File.ReadAllText(Agent.ConfigFile);
            File.WriteAllText(Agent.ConfigFile, _configuration.Replace("dataplane: {", $"dataplane: {{cgroupRoot: {Container.Root}, ", StringComparison.Ordinal));
        }

        return Task.CompletedTask;
    }

    // The lab's own agent, with a dataplane where it is.
    public async Task DisposeAsync()
    {
        if (Container.Reason is null)
        {
            File.WriteAllText(Agent.ConfigFile, _configuration);
            await EndAllAsync();
            new DataplaneCgroup(Container.Root).Remove();
            Agent.Start();
            await Agent.WaitUntilHealthyAsync(Patience);
        }
    }

    [ContainerFact]
    public async Task The_whole_container_is_killed_and_the_next_one_adopts_the_dataplane_without_a_loss()
    {
        await EndAllAsync();
        using var first = new Container($"clusterlb-first-{Environment.ProcessId}");
        using var second = new Container($"clusterlb-second-{Environment.ProcessId}");
        await StartInAsync(first);
        (int dataplane, int successor) = (Agent.DataplaneProcessId, Agent.SuccessorProcessId);
        int[] inside = first.Processes; // the agent, and perhaps a tool that it runs just now
        Assert.Contains(Agent.ProcessId, inside);
        Assert.DoesNotContain(dataplane, inside);
        Assert.DoesNotContain(successor, inside);
        List<CheckedStream> streams = [];
        foreach ((bool udp, bool ipv6) in (IEnumerable<(bool, bool)>)[(false, false), (false, true), (true, false), (true, true)])
        {
            streams.Add(await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6, 7), udp, Patience));
        }

        first.Kill();
        Assert.Equal(0, Agent.ProcessId);
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(50)));
        Assert.Equal("", (await fixture.ConnectAsync("client-a", "web", ipv6: false, ConnectProtocol.Http)).Failure);

        await StartInAsync(second);
        Assert.Equal((dataplane, successor), (Agent.DataplaneProcessId, Agent.SuccessorProcessId));
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(50)));
        foreach (CheckedStream stream in streams)
        {
            StreamReport report = await stream.StopAsync();
            await stream.DisposeAsync();
            Assert.Equal(("", 0), (report.Failure, report.Lost));
        }
    }

    private async Task StartInAsync(Container container)
    {
        Agent.Start();
        await Eventually.IsAsync("the agent runs", () => Agent.ProcessId != 0);
        container.Take(Agent.ProcessId); // it starts its dataplane later, and that leaves
        await Agent.WaitUntilHealthyAsync(Patience);
        await Eventually.IsAsync("a successor waits", () => Agent.SuccessorProcessId != 0);
    }

    private async Task EndAllAsync()
    {
        if (Agent.ProcessId != 0)
        {
            Agent.Kill();
        }

        await Eventually.IsAsync("all are gone", () =>
        {
            Agent.KillDataplaneAndSuccessor();
            return Agent.ProcessId == 0 && Agent.DataplaneProcessId == 0 && Agent.SuccessorProcessId == 0;
        });
    }
}
