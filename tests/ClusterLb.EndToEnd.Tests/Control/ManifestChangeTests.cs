using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Control;

/// <summary>Services and endpoints change while traffic runs.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class ManifestChangeTests(ChangingLabFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private LabService Web => fixture.Topology.Service("web");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        fixture.Lab.Manifests.DeleteFile("broken.yaml");
        fixture.Lab.Manifests.Apply(Web);
        await Eventually.IsAsync("all is as before", () => FailsWithAsync(""));
        await Eventually.IsAsync("all is as before", () => AnswersAreFromAsync("web-1", "web-2", "web-3", "web-4"));
    }

    [LabFact]
    public async Task Scaling_down_and_up_moves_new_connections_and_leaves_established_ones()
    {
        await using CheckedStream stream = await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6: false, 7), udp: false, Patience);
        LabPod[] two = [fixture.Topology.Pod("web-2"), fixture.Topology.Pod("web-4")];

        fixture.Lab.Manifests.Apply(Web with { Backends = two });
        await Eventually.IsAsync("only web-2 and web-4 answer", () => AnswersAreFromAsync("web-2", "web-4"));
        fixture.Lab.Manifests.Apply(Web);
        await Eventually.IsAsync("all four answer", () => AnswersAreFromAsync("web-1", "web-2", "web-3", "web-4"));

        await stream.WaitForMoreAsync(10);
        Assert.Equal("", (await stream.StopAsync()).Failure);
    }

    [LabFact]
    public async Task A_datagram_flow_leaves_a_backend_that_stopped_serving()
    {
        await using CheckedStream stream = await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6: false, 7), udp: true, Patience);
        await stream.WaitForMoreAsync(5);
        string first = stream.Pod;

        fixture.Lab.Manifests.Apply(Web with { Backends = [.. Web.Backends.Where(p => p.Name != first)] });

        await Eventually.IsAsync($"another pod than {first} answers the same client port", () => stream.Pod != first);
        Assert.Equal("", (await stream.StopAsync()).Failure);
    }

    [LabFact]
    public async Task An_endpoint_that_is_not_ready_gets_no_new_connections()
    {
        fixture.Lab.Manifests.Apply(Web with { NotReady = [fixture.Topology.Pod("web-1")] });

        await Eventually.IsAsync("web-1 does not answer", () => AnswersAreFromAsync("web-2", "web-3", "web-4"));
    }

    [LabFact]
    public async Task The_last_endpoint_goes_and_clients_are_refused_and_comes_back()
    {
        fixture.Lab.Manifests.Apply(Web with { Backends = [] });
        await Eventually.IsAsync("connections are refused", () => FailsWithAsync("refused"));

        fixture.Lab.Manifests.Apply(Web);
        await Eventually.IsAsync("connections are answered", () => FailsWithAsync(""));
    }

    [LabFact]
    public async Task A_service_that_is_deleted_is_silent_and_works_when_it_is_made_again()
    {
        fixture.Lab.Manifests.Remove(Web);
        await Eventually.IsAsync("connections are dropped", () => FailsWithAsync("timeout"));
        Assert.Equal(0, fixture.Lab.LeakedPackets());

        fixture.Lab.Manifests.Apply(Web);
        await Eventually.IsAsync("connections are answered", () => FailsWithAsync(""));
    }

    [LabFact]
    public async Task A_service_that_is_new_is_served()
    {
        var late = new LabService("late", 99, Web.Ports, [fixture.Topology.Pod("web-4")]);
        fixture.Lab.Manifests.Apply(late);
        try
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                await Eventually.IsAsync("web-4 answers", async () => (await Connector.OnceAsync(
                    TrafficTarget.Of(fixture.Lab, "client-a", late.ClusterIp(ipv6), 80), ConnectProtocol.Http, TimeSpan.FromMilliseconds(300))).Answer?.Pod == "web-4");
            }
        }
        finally
        {
            fixture.Lab.Manifests.Remove(late);
        }
    }

    [LabFact]
    public async Task A_broken_file_is_named_and_everything_else_is_served()
    {
        fixture.Lab.Manifests.WriteFile("broken.yaml", "apiVersion: v1\nkind: Service\nmetadata: [not, a, mapping\n");
        await Eventually.IsAsync("the agent names the file", () => fixture.Lab.Agent("node-a").LogTail(200).Contains("broken.yaml", StringComparison.Ordinal));

        Assert.True(await AnswersAreFromAsync("web-1", "web-2", "web-3", "web-4"));

        // A file that was good and is broken now: what it said before is still served.
        fixture.Lab.Manifests.WriteFile("service-web.yaml", "kind: Service\nspec: {ports: [\n");
        await Eventually.IsAsync("the agent names the file", () => fixture.Lab.Agent("node-a").LogTail(200).Contains("service-web.yaml", StringComparison.Ordinal));
        Assert.True(await AnswersAreFromAsync("web-1", "web-2", "web-3", "web-4"));
    }

    /// <summary>Forty connections are answered by exactly these pods: of four, one is missed once in 25,000 times.</summary>
    private async Task<bool> AnswersAreFromAsync(params string[] pods)
    {
        ConnectReport report = await Connector.RunAsync(
            fixture.To("client-a", "web", ipv6: false, 80), ConnectProtocol.Http, count: 40, concurrency: 4, LabFixture.Timeout);
        return report.Succeeded == report.Connections && report.AnsweredBy.Keys.SequenceEqual(pods);
    }

    private async Task<bool> FailsWithAsync(string failure)
    {
        foreach (bool ipv6 in (bool[])[false, true])
        {
            Attempt attempt = await Connector.OnceAsync(
                fixture.To("client-a", "web", ipv6, 80), ConnectProtocol.Http, TimeSpan.FromMilliseconds(300));
            if (attempt.Failure != failure)
            {
                return false;
            }
        }

        return true;
    }
}
