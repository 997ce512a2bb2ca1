using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Annotations of a Service, and what real connections make of them.</summary>
[Collection(ChangingLabCollection.Name)]
public sealed class AlgorithmTrafficTests(ChangingLabFixture fixture) : IAsyncLifetime
{
    private const string Algorithm = "clusterlb.io/lb-algorithm";
    private const string Split = "clusterlb.io/split";

    private LabService Web => fixture.Topology.Service("web");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        fixture.Lab.Manifests.Apply(Web);
        await Eventually.IsAsync("all is as before", () => Task.FromResult(AlgorithmOnNodeA() == "random" && !Status().Contains("default/web ", StringComparison.Ordinal)));
    }

    [LabFact]
    public async Task Round_robin_gives_each_pod_the_same_number_of_connections()
    {
        await AnnotateAsync((Algorithm, "rr"), "round-robin");

        ConnectReport report = await ConnectAsync("client-a", 40);

        Assert.Equal([10, 10, 10, 10], report.AnsweredBy.Values);
    }

    [LabTheory]
    [InlineData("source-hash")]
    [InlineData("destination-hash")]
    public async Task One_client_always_gets_the_same_pod(string algorithm)
    {
        await AnnotateAsync((Algorithm, algorithm), algorithm);

        Assert.Single((await ConnectAsync("client-a", 20)).AnsweredBy);
    }

    [LabFact]
    public async Task Both_nodes_build_the_same_Maglev_table()
    {
        await AnnotateAsync((Algorithm, "maglev"), "maglev");
        await Eventually.IsAsync("node-b has the tables too", () => Task.FromResult(Tables("node-b").Contains("default/web:echo ", StringComparison.Ordinal)));

        Assert.Equal(Tables("node-a"), Tables("node-b"));
        ConnectReport report = await ConnectAsync("client-a", 200);
        Assert.Equal(4, report.AnsweredBy.Count);
    }

    [LabFact]
    public async Task Least_connections_spreads_long_ones_evenly_and_sends_new_ones_where_they_ended()
    {
        await AnnotateAsync((Algorithm, "least-connections"), "least-connections");
        var held = new List<CheckedStream>();
        for (int i = 0; i < 16; i++)
        {
            held.Add(await CheckedStream.StartAsync(fixture.To("client-a", "web", ipv6: false, 7), udp: false, LabFixture.Timeout));
        }

        Assert.Equal([4, 4, 4, 4], held.CountBy(stream => stream.Pod).Select(pair => pair.Value));
        string free = held[0].Pod;
        foreach (CheckedStream stream in held.Where(stream => stream.Pod == free))
        {
            Assert.Equal("", (await stream.StopAsync()).Failure);
        }

        // One after the other: the last of them may still be closing, but not four.
        ConnectReport report = await Connector.RunAsync(
            fixture.To("client-a", "web", ipv6: false, ConnectProtocol.Tcp), ConnectProtocol.Tcp, count: 10, concurrency: 1, LabFixture.Timeout);
        foreach (CheckedStream stream in held)
        {
            await stream.DisposeAsync();
        }

        Assert.True(report.Succeeded == 10, string.Join(", ", report.Failures));
        Assert.Equal(free, Assert.Single(report.AnsweredBy).Key);
    }

    [LabFact]
    public async Task A_canary_gets_its_share_and_the_rest_stays()
    {
        fixture.Lab.Manifests.Apply(Web with
        {
            Backends = [fixture.Topology.Pod("web-1"), fixture.Topology.Pod("web-2")],
            Annotations = new Dictionary<string, string> { [Split] = "on-node-b=25" },
        });
        await Eventually.IsAsync("web-3 is the canary", () => Task.FromResult(
            fixture.Clusterlb("node-a", "service", "get", "default/web:http").Output.Contains("[canary 25%]", StringComparison.Ordinal)));

        ConnectReport report = await ConnectAsync("client-a", 400);

        // 100 are expected; 60 to 140 is four and a half standard deviations to either side.
        Assert.InRange(report.AnsweredBy["web-3"], 60, 140);
        Assert.Equal(["web-1", "web-2", "web-3"], report.AnsweredBy.Keys.Order(StringComparer.Ordinal));
    }

    [LabTheory]
    [InlineData("clusterlb.io/lb-algoritm", "maglev", "there is no such annotation; it is ignored. The nearest one is clusterlb.io/lb-algorithm")]
    [InlineData(Algorithm, "fastest", "is no algorithm; it is ignored. Known are random, maglev, round-robin")]
    [InlineData(Split, "nobody=10", "is ignored: there is no proxied service default/nobody")]
    [InlineData(Split, "other/web=10", "names a service of another namespace; only its own is possible")]
    [InlineData(Split, "on-node-b=101", "is not from 1 to 100 percent")]
    [InlineData(Split, "on-node-a=60,on-node-b=60", "names more than one service; one is possible")]
    [InlineData(Split, "on-node-b", "is not SERVICE=PERCENT")]
    public async Task What_cannot_be_meant_is_said_and_the_service_works_as_before(string annotation, string value, string problem)
    {
        fixture.Lab.Manifests.Apply(Web with { Annotations = new Dictionary<string, string> { [annotation] = value } });

        await Eventually.IsAsync($"status says: {problem}", () => Task.FromResult(Status().Contains(problem, StringComparison.Ordinal)));
        Assert.Contains(problem, fixture.Lab.Agent("node-a").LogTail(20), StringComparison.Ordinal);
        ConnectReport report = await ConnectAsync("client-a", 20);
        Assert.True(report.Succeeded == 20, string.Join(", ", report.Failures));
        Assert.Equal("random", AlgorithmOnNodeA());
    }

    private async Task AnnotateAsync((string Name, string Value) annotation, string algorithm)
    {
        fixture.Lab.Manifests.Apply(Web with { Annotations = new Dictionary<string, string> { [annotation.Name] = annotation.Value } });
        await Eventually.IsAsync($"the maps say {algorithm}", () => Task.FromResult(AlgorithmOnNodeA() == algorithm));
    }

    private Task<ConnectReport> ConnectAsync(string from, int count) => Connector.RunAsync(
        fixture.To(from, "web", ipv6: false, ConnectProtocol.Http), ConnectProtocol.Http, count, concurrency: 4, LabFixture.Timeout);

    private string AlgorithmOnNodeA()
    {
        string json = fixture.Clusterlb("node-a", "service", "get", "default/web:http", "-o", "json").Output;
        const string Field = "\"algorithm\": \"";
        int at = json.IndexOf(Field, StringComparison.Ordinal) + Field.Length;
        return at < Field.Length ? "" : json[at..json.IndexOf('"', at)];
    }

    private string Tables(string node) => fixture.Clusterlb(node, "bpf", "lb", "maglev", "default/web").Output;

    private string Status() => fixture.Clusterlb("node-a", "status").Output;
}
