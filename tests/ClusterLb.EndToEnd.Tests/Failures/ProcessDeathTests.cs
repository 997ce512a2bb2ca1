using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>The agent decides and the dataplane carries: each may die, and traffic outlives it.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class ProcessDeathTests(ChangingLabFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [LabFact]
    public async Task The_agent_is_killed_and_traffic_goes_on_without_a_loss_and_a_new_agent_adopts_it()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        int dataplane = agent.DataplaneProcessId;
        List<CheckedStream> streams = await StartStreamsAsync();

        agent.Kill();
        await Eventually.IsAsync("the agent is gone", () => agent.ProcessId == 0);
        await AssertNewConnectionsAsync(200);
        Assert.Equal(dataplane, agent.DataplaneProcessId);

        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);
        Assert.Equal(dataplane, agent.DataplaneProcessId); // adopted, not replaced
        await AssertNewConnectionsAsync(100);
        await AssertUninterruptedAsync(streams, datagramsMayBeLost: false);
    }

    [LabFact]
    public async Task The_dataplane_is_killed_and_the_agent_starts_another_and_established_connections_go_on()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        int dataplane = agent.DataplaneProcessId;
        List<CheckedStream> streams = await StartStreamsAsync();

        agent.KillDataplane();
        await Eventually.IsAsync("another dataplane runs", () => agent.DataplaneProcessId is var now && now != 0 && now != dataplane);
        await agent.WaitUntilHealthyAsync(Patience);

        await AssertNewConnectionsAsync(100);
        await AssertUninterruptedAsync(streams, datagramsMayBeLost: true);
    }

    [LabFact]
    public async Task A_client_with_session_affinity_finds_its_backend_again_after_the_dataplane_was_killed()
    {
        LabService pinned = fixture.Topology.Service("web") with { Name = "pinned", Index = 70, AffinitySeconds = 600 };
        fixture.Lab.Manifests.Apply(pinned);
        AgentProcess agent = fixture.Lab.Agent("node-a");
        int dataplane = agent.DataplaneProcessId;
        string[] before = [await PodAsync(ipv6: false), await PodAsync(ipv6: true)];

        agent.KillDataplane();
        await Eventually.IsAsync("another dataplane runs", () => agent.DataplaneProcessId is var now && now != 0 && now != dataplane);
        await agent.WaitUntilHealthyAsync(Patience);
        for (int i = 0; i < 10; i++) // by chance one in four
        {
            Assert.Equal(before[0], await PodAsync(ipv6: false));
            Assert.Equal(before[1], await PodAsync(ipv6: true));
        }

        fixture.Lab.Manifests.Remove(pinned);

        async Task<string> PodAsync(bool ipv6)
        {
            string? pod = null;
            await Eventually.IsAsync("the service answers", async () =>
            {
                TrafficTarget target = TrafficTarget.Of(fixture.Lab, "client-a", pinned.ClusterIp(ipv6), 7);
                pod = (await Connector.OnceAsync(target, ConnectProtocol.Tcp, LabFixture.Timeout)).Answer?.Pod;
                return pod is not null;
            });
            return pod!;
        }
    }

    [LabFact]
    public async Task Both_are_killed_and_the_successor_serves_without_an_agent_until_the_next_one_adopts_it()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        await Eventually.IsAsync("a successor waits", () => agent.SuccessorProcessId != 0);
        int successor = agent.SuccessorProcessId;
        List<CheckedStream> streams = await StartStreamsAsync();

        agent.Kill();
        await Eventually.IsAsync("the agent is gone", () => agent.ProcessId == 0);
        agent.KillDataplane();
        await Eventually.IsAsync("the successor serves", () => agent.DataplaneProcessId == successor);
        await AssertNewConnectionsAsync(50);
        if (Niceness.MayBeRaised)
        {
            Assert.Equal([-10, -10], Niceness.OfThreads(successor, "queue-")); // no agent lives that could have raised them
        }

        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);
        Assert.Equal(successor, agent.DataplaneProcessId);
        await AssertUninterruptedAsync(streams, datagramsMayBeLost: true);
    }

    [LabFact]
    public async Task All_are_killed_and_the_next_agent_adopts_maps_and_flows()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        List<CheckedStream> streams = await StartStreamsAsync();

        await KillAllAsync(agent);
        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);

        await AssertNewConnectionsAsync(50);
        await AssertUninterruptedAsync(streams, datagramsMayBeLost: true);
    }

    [LabFact]
    public async Task An_agent_that_is_asked_to_end_leaves_the_dataplane_serving()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        int dataplane = agent.DataplaneProcessId;
        List<CheckedStream> streams = await StartStreamsAsync();

        agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        Assert.Equal(dataplane, agent.DataplaneProcessId);
        await AssertNewConnectionsAsync(100);

        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);
        Assert.Equal(dataplane, agent.DataplaneProcessId);
        await AssertUninterruptedAsync(streams, datagramsMayBeLost: false);
    }

    [LabFact]
    public async Task An_agent_that_needs_another_dataplane_has_it_take_over_without_a_lost_packet()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        string configuration = File.ReadAllText(agent.ConfigFile);
        int dataplane = agent.DataplaneProcessId;
        List<CheckedStream> streams = await StartStreamsAsync();

        // Tables of another size stand for another version: either way a new process takes over from one that serves.
        File.WriteAllText(agent.ConfigFile, configuration.Replace("ipv4: 65536", "ipv4: 131072", StringComparison.Ordinal));
        await RestartAsync(agent);
        Assert.NotEqual(dataplane, agent.DataplaneProcessId);
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(50)));
        File.WriteAllText(agent.ConfigFile, configuration);
        await RestartAsync(agent); // and back, as a rollback does

        await AssertUninterruptedAsync(streams, datagramsMayBeLost: false);
    }

    [LabFact]
    public async Task With_all_of_them_dead_nothing_for_a_service_leaves_the_node()
    {
        AgentProcess agent = fixture.Lab.Agent("node-a");
        await KillAllAsync(agent);
        try
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                Attempt attempt = await Connector.OnceAsync(
                    fixture.To("client-a", "web", ipv6, 80), ConnectProtocol.Http, TimeSpan.FromMilliseconds(300));
                Assert.NotEqual("", attempt.Failure);
            }

            Assert.Equal(0, fixture.Lab.LeakedPackets());
        }
        finally
        {
            agent.Start();
            await agent.WaitUntilHealthyAsync(Patience);
        }
    }

    private static async Task RestartAsync(AgentProcess agent)
    {
        agent.Terminate();
        await Eventually.IsAsync("the agent ended", () => agent.ProcessId == 0);
        agent.Start();
        await agent.WaitUntilHealthyAsync(Patience);
    }

    private static async Task KillAllAsync(AgentProcess agent)
    {
        agent.Kill(); // first: nobody starts another one any more
        await Eventually.IsAsync("the agent is gone", () => agent.ProcessId == 0);
        await Eventually.IsAsync("all are gone", () =>
        {
            agent.KillDataplaneAndSuccessor();
            return agent.DataplaneProcessId == 0 && agent.SuccessorProcessId == 0;
        });
    }

    private async Task<List<CheckedStream>> StartStreamsAsync()
    {
        var streams = new List<CheckedStream>();
        foreach ((bool udp, bool ipv6) in (IEnumerable<(bool, bool)>)[(false, false), (false, true), (true, false), (true, true)])
        {
            streams.Add(await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6, 7), udp, Patience));
        }

        // A flow that has exchanged some packets in both directions is established for everybody.
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(20)));
        return streams;
    }

    private async Task AssertNewConnectionsAsync(int count)
    {
        foreach (ConnectProtocol protocol in (ConnectProtocol[])[ConnectProtocol.Http, ConnectProtocol.Udp])
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                ConnectReport report = await Connector.RunAsync(
                    fixture.To("client-a", "web", ipv6, protocol), protocol, count, concurrency: 4, LabFixture.Timeout);
                Assert.True(report.Succeeded == count, $"{report.Target} {report.Protocol}: {string.Join(", ", report.Failures)}");
            }
        }
    }

    private static async Task AssertUninterruptedAsync(List<CheckedStream> streams, bool datagramsMayBeLost)
    {
        await Task.WhenAll(streams.Select(s => s.WaitForMoreAsync(20)));
        foreach (CheckedStream stream in streams)
        {
            StreamReport report = await stream.StopAsync();
            await stream.DisposeAsync();
            Assert.Equal("", report.Failure);
            Assert.True(datagramsMayBeLost || report.Lost == 0, $"{report.Lost} datagrams were lost");
        }
    }
}
