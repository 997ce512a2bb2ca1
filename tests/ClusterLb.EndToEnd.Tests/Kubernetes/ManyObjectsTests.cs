using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using ClusterLb.Dataplane.Maps;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A large cluster, on a server of its own.</summary>
public sealed class ManyObjectsTests(ITestOutputHelper output)
{
    private const string CountVariable = "CLUSTERLB_API_OBJECTS";
    private const int SlicesPerService = 4;

    // Creating is what takes its time: 50,000 at the real server two minutes of two cores, so only `make soak` does that.
    private static readonly int Objects = Environment.GetEnvironmentVariable(CountVariable) is { Length: > 0 } text
        ? int.Parse(text, CultureInfo.InvariantCulture)
        : RealApiServer.Assets is null ? 50_000 : 5_000;

    [Fact]
    public async Task All_objects_of_a_large_cluster_arrive_and_changes_among_them()
    {
        int services = Objects / (1 + SlicesPerService);
        await using IApiServerUnderTest server = await ApiServerFixture.StartServerAsync();
        await server.CreateAsync(ApiObjects.Node(ApiServerFixture.NodeName, "zone-1"));
        await server.CreateAsync(ApiObjects.Service("many", "first", "10.96.255.1")); // makes the namespace
        long started = Stopwatch.GetTimestamp();
        await Parallel.ForAsync(0, services, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) =>
        {
            await server.CreateAsync(ApiObjects.Service("many", $"s{i}", AddressOf(i)));
            for (int part = 0; part < SlicesPerService; part++)
            {
                await server.CreateAsync(ApiObjects.Slice("many", $"s{i}", $"{part}", EndpointOf(i, part)));
            }
        });
        output.WriteLine($"{server.Version}: {services * (1 + SlicesPerService)} objects created in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");

        var capacities = new LbMapCapacities
        {
            Services = Math.Max(4096, services * 8),
            Backends = Math.Max(4096, services * 6),
            Frontends = Math.Max(4096, services * 2),
            Serving = Math.Max(4096, services * 6),
            Eligible = 1024,
            ServicePorts = Math.Max(4096, services * 2),
            ServiceNames = Math.Max(4096, services * 2),
            Networks = 256,
        };
        started = Stopwatch.GetTimestamp();
        string kubeconfig = Kubeconfig.Text(new Uri($"https://{server.EndPoint}"), server.AuthorityPem, server.AgentToken);
        await using SyncedNode node = SyncedNode.Start(ApiServerFixture.NodeName, kubeconfig, patient: true, capacities);
        await Eventually.IsAsync("the first sync is complete", () => node.Sync.IsSynced);
        output.WriteLine($"listed and written in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s: {node.Counts}");

        Assert.Equal(services * SlicesPerService, node.Counts.Backends - ForeignBackends(node));
        Assert.Empty(node.Faults);
        foreach (int i in (int[])[0, services / 2, services - 1])
        {
            Assert.Equal(Enumerable.Range(0, SlicesPerService).Select(part => $"{EndpointOf(i, part)}:8080"), node.BackendsOf(AddressOf(i), 80));
        }

        await server.PatchAsync("endpointslices", "many", $"s{services / 2}-0", new JsonObject { ["endpoints"] = ApiObjects.Endpoints("10.255.0.1") });
        await Eventually.IsAsync("a change among them arrives", () => node.BackendsOf(AddressOf(services / 2), 80)!.Contains("10.255.0.1:8080"));
        Assert.Equal("", node.Server.LastError);
    }

    // The real server has a service of its own, kubernetes.
    private static int ForeignBackends(SyncedNode node) => node.BackendsOf("10.96.0.1", 443)?.Count ?? 0;

    private static string AddressOf(int i) => $"10.96.{i / 250 + 1}.{i % 250 + 1}";

    private static string EndpointOf(int i, int part) => $"10.{100 + part}.{i / 250}.{i % 250 + 1}";
}
