using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Testing.Kubernetes;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>List and watch, and what is read by them.</summary>
public sealed class ReflectorTests
{
    public static TheoryData<bool> BothWaysToList => [true, false];

    [Theory, MemberData(nameof(BothWaysToList))]
    public async Task Objects_are_listed_then_their_changes_are_followed(bool streams)
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.StreamsLists = streams;
            server.Put(Service("web"));
            server.Put(Slice("web-1", "web", "10.244.1.5", "10.244.1.6"));
            server.Put(Node("node-a"));
            server.Put(ServiceCidr("kubernetes", "10.96.0.0/16", "fd00:10:96::/112"));
        });
        Assert.Equal(80, it.Find("web")!.Ports[0].Port);
        Assert.Equal(2, it.Backends("web"));
        Assert.Equal("z1", it.Store.Node!.Zone);
        Assert.Equal([IpPrefix.Parse("10.96.0.0/16"), IpPrefix.Parse("fd00:10:96::/112")], it.Store.ServiceCidrs.AsEnumerable());

        it.Server.Put(Service("web", port: 81));
        it.Server.Put(Service("new", "10.96.0.11"));
        it.Server.Put(Slice("web-1", "web", "10.244.1.5"));
        it.Server.Put(ServiceCidr("more", "10.97.0.0/16"));
        await it.UntilAsync(() => it.Find("web")?.Ports[0].Port == 81 && it.Find("new") is not null && it.Backends("web") == 1
            && it.Store.ServiceCidrs.Length == 3);

        it.Server.Delete("services", "test", "web");
        it.Server.Delete("endpointslices", "test", "web-1");
        it.Server.Delete("nodes", "", "node-a");
        it.Server.Delete("servicecidrs", "", "more");
        await it.UntilAsync(() => it.Find("web") is null && it.Backends("web") == 0 && it.Store.Node is { IsDraining: true } && it.Store.ServiceCidrs.Length == 2);
        Assert.Equal(streams ? 0 : 1, it.Count("list", "services"));
    }

    [Fact]
    public async Task A_long_list_comes_in_pages()
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.StreamsLists = false;
            for (int i = 0; i < 1_201; i++)
            {
                server.Put(Service($"s{i}", $"10.96.{i / 250}.{(i % 250) + 1}"));
            }
        });

        Assert.Equal(1_201, it.Store.ServiceNames().Count);
        Assert.Equal(3, it.Count("list", "services"));
        Assert.All(it.Server.Requests.Where(r => r.Verb == "list"), r => Assert.Contains("limit=500", r.Query, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_bookmark_moves_the_place_to_resume_from()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1);
        string version = it.Server.Put(Node("another"))["metadata"]!["resourceVersion"]!.ToString(); // no service changes
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1);
        await it.UntilAsync(() =>
        {
            it.Server.SendBookmarks();
            it.Server.EndWatches();
            return it.Server.Requests.Any(r => r.Plural == "services" && r.Query.Contains("resourceVersion=" + version, StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task A_range_that_is_no_text_is_named_and_the_others_count()
    {
        await using SourceFixture it = await StartAsync();
        await it.UntilAsync(() => it.Server.OpenWatches("servicecidrs") == 1);
        it.Server.SendLine("servicecidrs", """{"type":"ADDED","object":{"metadata":{"name":"\ud800","resourceVersion":"7"},"spec":{"cidrs":["10.98.0.0/16"]}}}""");
        it.Server.SendLine("servicecidrs", """{"type":"ADDED","object":{"metadata":{"name":"half","resourceVersion":"8"},"spec":{"cidrs":["\ud800","10.97.0.0/16"]}}}""");

        await it.UntilAsync(() => it.Store.ServiceCidrs.Contains(IpPrefix.Parse("10.97.0.0/16")));
        Assert.Contains(it.Store.Problems, p => p.Name.Name == "half" && p.Field == "spec.cidrs");
        Assert.DoesNotContain(IpPrefix.Parse("10.98.0.0/16"), it.Store.ServiceCidrs);
    }

    [Fact]
    public async Task A_deletion_tells_when_it_was_received()
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.Put(Service("web"));
            server.Put(Slice("web-1", "web", "10.244.1.5"));
        });
        it.Store.TakeChanges();
        it.Store.Pending.Written();
        var slices = new StoreTarget(it.Store, ApiResource.Slices);
        var services = new StoreTarget(it.Store, ApiResource.Services);
        slices.Remove(JsonDocument.Parse("""{"metadata":{"name":"web-1","namespace":"test"}}""").RootElement, 4711);
        services.Remove(JsonDocument.Parse("""{"metadata":{"name":"web","namespace":"test"}}""").RootElement, 4712);

        Assert.Equal([4711L, 4712L], it.Store.TakeChanges().Observed.Where(o => o.IsRemoval).Select(o => o.Times.Received));
    }

    [Fact]
    public async Task A_bad_object_never_stops_the_stream_and_is_named()
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            JsonObject bad = Service("bad", "10.96.0.99");
            bad["spec"]!["clusterIPs"] = new JsonArray("nonsense");
            server.Put(bad);
            server.Put(Service("good"));
        });
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1 && it.Store.IsSourceComplete);
        it.Server.SendLine("services", """{"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"\ud800","namespace":"test"}}}""");
        it.Server.SendLine("services", """{"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"half","namespace":"test","resourceVersion":"3"},"spec":{"type":"\ud800"}}}""");
        it.Server.SendLine("services", """{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":7,"spec":[]}}""");
        it.Server.SendLine("services", """{"type":"DELETED","object":{"metadata":{}}}""");
        it.Server.Put(Service("later", "10.96.0.11"));

        await it.UntilAsync(() => it.Find("later") is not null && it.Store.Problems.Any(p => p.Name.Name == "half"));
        Assert.NotNull(it.Find("good"));
        Assert.Null(it.Find("bad"));
        Assert.Contains(it.Store.Problems, p => p.Name.Name == "bad" && p.Field == "spec.clusterIPs[0]");
        Assert.DoesNotContain(it.Statuses, s => s.Resource == "services" && s.State == ApiWatchState.Waiting);

        it.Server.Delete("services", "test", "bad");
        await it.UntilAsync(() => it.Store.Problems.All(p => p.Name.Name != "bad"));
    }

    [Fact]
    public async Task An_object_that_turns_bad_is_served_as_it_was()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        JsonObject bad = Service("web");
        bad["spec"]!["type"] = "Nonsense";
        it.Server.Put(bad);

        await it.UntilAsync(() => it.Store.Problems.Any(p => p.Field == "spec.type"));
        Assert.Equal(80, it.Find("web")!.Ports[0].Port);
    }

    [Fact]
    public async Task An_object_that_is_no_longer_selected_goes()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        JsonObject others = Service("web");
        others["metadata"]!["labels"] = new JsonObject { ["service.kubernetes.io/service-proxy-name"] = "" };
        it.Server.Put(others);
        await it.UntilAsync(() => it.Find("web") is null);

        it.Server.Put(Service("web"));
        await it.UntilAsync(() => it.Find("web") is not null);
    }

    [Fact]
    public async Task Only_what_may_be_ours_is_asked_for()
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.Put(Node("node-a"));
            server.Put(Node("node-b"));
        });
        await it.UntilAsync(() => it.Source.Status.Connected);

        foreach ((string plural, string selector) in ((string, string)[])
            [
                ("services", "labelSelector=!service.kubernetes.io/service-proxy-name"),
                ("endpointslices", "labelSelector=!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"),
            ])
        {
            Assert.All(
                it.Server.Requests.Where(r => r.Plural == plural),
                r => Assert.Contains(selector, Uri.UnescapeDataString(r.Query).Split('&')));
        }

        Assert.All(it.Server.Requests.Where(r => r.Plural == "nodes"), r => Assert.Contains("fieldSelector=metadata.name=node-a", Uri.UnescapeDataString(r.Query), StringComparison.Ordinal));
        Assert.Equal(1, it.Status("nodes").Objects);
    }

    [Fact]
    public async Task A_slice_tells_when_its_change_was_triggered_and_received()
    {
        long before = TimeProvider.System.GetTimestamp();
        await using SourceFixture it = await StartAsync(server => server.Put(Slice("web-1", "web", "10.244.1.5")));

        ChangeTimes times = Assert.Single(it.Store.Get(new ObjectName("test", "web")).Slices).Times;
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(1_234_567), times.Triggered);
        Assert.InRange(times.Received, before, TimeProvider.System.GetTimestamp());
    }

    [Fact]
    public async Task A_server_without_streaming_lists_is_listed_in_pages_at_once()
    {
        await using SourceFixture it = await StartAsync(server => server.StreamsLists = false);

        Assert.DoesNotContain(it.Statuses, s => s.State == ApiWatchState.Waiting);
        Assert.Equal(1, it.Count("list", "nodes"));
    }

    [Fact]
    public async Task A_server_that_could_not_stream_lists_is_asked_again_after_a_while()
    {
        await using SourceFixture it = await StartAsync(
            server => server.StreamsLists = false, Impatient with { Streams = TimeSpan.FromMilliseconds(100) });
        int before = Streamed(it.Server);
        it.Server.StreamsLists = true; // it was upgraded
        using var patience = new CancellationTokenSource(Patience);
        while (Streamed(it.Server) == before)
        {
            Assert.False(patience.IsCancellationRequested);
            it.Server.SendLine("services", "not JSON at all"); // all is listed again
            await Task.Delay(20);
        }

        await it.UntilAsync(() => it.Status("services").State == ApiWatchState.Watching);
    }

    [Fact]
    public async Task What_one_server_cannot_is_asked_of_the_next_one()
    {
        await using FakeApiServer old = await FakeApiServer.StartNewAsync();
        await using SourceFixture it = await PrepareAsync();
        old.StreamsLists = false;
        old.Tokens[it.Server.AgentToken] = true;
        string both = old.AuthorityPem + "\n" + it.Server.AuthorityPem;
        it.Follow(connection: it.Connection() with
        {
            Servers = [new Uri($"https://{old.EndPoint}/"), new Uri($"https://{it.Server.EndPoint}/")],
            Authorities = CredentialText.Given(both, "a test"),
        });
        await it.UntilAsync(() => it.Store.IsSourceComplete);
        Assert.Equal(0, Streamed(it.Server));

        it.Server.RefusesExpiredVersions = true; // its versions are its own: what the old one said is too old for it
        it.Server.Compact();
        it.Server.Put(Service("web"));
        await old.KillAsync();
        await it.UntilAsync(() => it.Find("web") is not null);
        Assert.NotEqual(0, Streamed(it.Server));
    }

    [Fact]
    public async Task A_watch_whose_time_is_over_is_asked_for_again_without_a_word()
    {
        await using SourceFixture it = await StartAsync(
            server => server.Put(Service("web")), Impatient with { Watch = TimeSpan.FromSeconds(1), MinBackoff = TimeSpan.FromSeconds(10) });

        await it.UntilAsync(() => it.Server.Requests.Count(r => r.Verb == "watch" && r.Plural == "services") >= 2);
        Assert.DoesNotContain(it.Statuses, s => s.State == ApiWatchState.Waiting);
    }

    [Theory, MemberData(nameof(BothWaysToList))]
    public async Task Objects_that_come_in_small_pieces_are_put_together(bool streams)
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.StreamsLists = streams;
            server.PieceBytes = 7;
            server.Put(Service("web"));
            server.Put(Slice("web-1", "web", [.. Enumerable.Range(1, 50).Select(i => $"10.244.1.{i}")]));
        });
        Assert.Equal(50, it.Backends("web"));

        it.Server.Put(Slice("web-1", "web", "10.244.1.1"));
        await it.UntilAsync(() => it.Backends("web") == 1);
    }

    [Fact]
    public async Task Lists_may_be_compressed()
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.StreamsLists = false;
            server.Compresses = true;
            server.Put(Service("web"));
        });

        Assert.NotNull(it.Find("web"));
        Assert.Contains(it.Server.Requests, r => r is { Verb: "list", AcceptsGzip: true });
    }

    private static int Streamed(FakeApiServer server) =>
        server.Requests.Count(r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal));
}
