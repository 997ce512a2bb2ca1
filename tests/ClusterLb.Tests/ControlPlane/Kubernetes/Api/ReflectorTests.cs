using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Testing.Kubernetes;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>List and watch, and everything that can happen to them.</summary>
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
    public async Task A_continue_token_that_is_too_old_makes_the_list_begin_again_without_pages()
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.StreamsLists = false;
        for (int i = 0; i < 600; i++)
        {
            it.Server.Put(Service($"s{i}", $"10.96.{i / 250}.{(i % 250) + 1}"));
        }

        it.Server.ExpiresContinueTokens = true;
        it.Follow();
        await it.UntilAsync(() => it.Store.IsSourceComplete);

        Assert.Equal(600, it.Store.ServiceNames().Count);
        Assert.DoesNotContain("limit", it.Server.Requests.Last(r => r.Verb == "list" && r.Plural == "services").Query, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_watch_that_ends_or_breaks_is_resumed_where_it_was(bool midLine)
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1);
        string version = it.Server.Put(Service("second", "10.96.0.11"))["metadata"]!["resourceVersion"]!.ToString();
        await it.UntilAsync(() => it.Find("second") is not null);

        if (midLine)
        {
            it.Server.CutWatches(midLine: true);
        }
        else
        {
            it.Server.EndWatches();
        }

        await it.UntilAsync(() => it.Server.Requests.Any(r => r.Plural == "services" && r.Query.Contains("resourceVersion=" + version, StringComparison.Ordinal)));
        it.Server.Put(Service("third", "10.96.0.12"));
        await it.UntilAsync(() => it.Find("third") is not null);

        Assert.NotNull(it.Find("web"));
        Assert.Equal(0, it.Count("list", "services"));
        Assert.Single(it.Server.Requests, r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal));
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

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task After_410_everything_is_listed_again_and_what_vanished_meanwhile_goes(bool streams, bool asStatus)
    {
        await using SourceFixture it = await StartAsync(server =>
        {
            server.StreamsLists = streams;
            server.RefusesExpiredVersions = asStatus;
            server.Put(Service("stays"));
            server.Put(Service("goes", "10.96.0.11"));
            server.Put(Slice("goes-1", "goes", "10.244.1.5"));
            server.Put(ServiceCidr("goes", "10.97.0.0/16"));
            server.Put(ServiceCidr("stays", "10.96.0.0/16"));
        });
        await it.UntilAsync(() => it.Source.Status.Connected);
        await it.Server.KillAsync();
        it.Server.Delete("services", "test", "goes");
        it.Server.Delete("endpointslices", "test", "goes-1");
        it.Server.Delete("servicecidrs", "", "goes");
        it.Server.Put(Service("comes", "10.96.0.12"));
        it.Server.Compact();
        Assert.NotNull(it.Find("goes"));

        await it.Server.StartAsync();
        await it.UntilAsync(() => it.Find("comes") is not null && it.Find("goes") is null && it.Backends("goes") == 0
            && it.Store.ServiceCidrs.Length == 1);

        Assert.NotNull(it.Find("stays"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_a_restart_of_the_server_the_first_410_waits_a_moment_only_and_is_never_shown_as_watching(bool asStatus)
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.RefusesExpiredVersions = asStatus;
        it.Server.Put(Service("web"));
        var time = new NotedTime();
        using var client = new ApiClient(it.Connection(), Impatient);
        ApiTimes times = Impatient with { MaxBackoff = TimeSpan.FromHours(1) };
        var reflector = new Reflector(client, ApiResource.Services, new StoreTarget(it.Store, ApiResource.Services), times, time, new Random(1));
        var statuses = new List<ApiResourceStatus>();
        int expiredAt = -1;
        reflector.Changed += status =>
        {
            lock (statuses)
            {
                statuses.Add(status);
                expiredAt = status.LastError.Contains("410", StringComparison.Ordinal) && expiredAt < 0 ? time.Waits.Length : expiredAt;
            }
        };
        using var stop = new CancellationTokenSource();
        Task running = reflector.RunAsync(stop.Token);
        await it.UntilAsync(() => reflector.Status.State == ApiWatchState.Watching);

        await it.Server.KillAsync();
        await it.UntilAsync(() => time.Waits.Count(wait => wait >= times.MinBackoff) >= 5);
        it.Server.Compact();
        it.Server.Put(Service("after", "10.96.0.11"));
        await it.Server.StartAsync();
        await it.UntilAsync(() => it.Find("after") is not null && reflector.Status.State == ApiWatchState.Watching);
        await stop.CancelAsync();
        await running;

        lock (statuses)
        {
            int expired = statuses.FindIndex(s => s.State == ApiWatchState.Waiting && s.LastError.Contains("410", StringComparison.Ordinal));
            Assert.True(expired > 0, string.Join("; ", statuses));
            Assert.Equal(ApiWatchState.Waiting, statuses[expired - 1].State);
            Assert.All(time.Waits.Skip(expiredAt).Where(wait => wait != Reflector.Accepted), wait => Assert.InRange(wait, TimeSpan.Zero, times.MinBackoff));
        }
    }

    [Theory]
    [InlineData(HttpStatusCode.Unauthorized)]
    [InlineData(HttpStatusCode.Forbidden)]
    [InlineData(HttpStatusCode.NotFound)]
    public async Task What_one_server_refuses_is_asked_of_the_next_one(HttpStatusCode refusal)
    {
        await using FakeApiServer odd = await FakeApiServer.StartNewAsync();
        await using SourceFixture it = await PrepareAsync();
        odd.Tokens[it.Server.AgentToken] = true;
        odd.Fail("services", refusal, "", times: 1000);
        it.Server.Put(Service("web"));
        it.Follow(connection: it.Connection() with
        {
            Servers = [new Uri($"https://{odd.EndPoint}/"), new Uri($"https://{it.Server.EndPoint}/")],
            Authorities = CredentialText.Given(odd.AuthorityPem + "\n" + it.Server.AuthorityPem, "a test"),
        });

        await it.UntilAsync(() => it.Find("web") is not null);
    }

    [Fact]
    public async Task A_single_server_that_does_not_know_services_is_soon_asked_again()
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.Fail("services", HttpStatusCode.NotFound, "NotFound", times: 3); // it is starting
        it.Server.Put(Service("web"));
        it.Follow();

        await it.UntilAsync(() => it.Find("web") is not null);
        Assert.DoesNotContain(it.Statuses, s => s is { Resource: "services", State: ApiWatchState.NotOffered });
    }

    [Fact]
    public async Task A_fault_in_one_watch_ends_them_all()
    {
        await using SourceFixture it = await PrepareAsync();
        using var source = new ApiServerSource(it.Connection(), Impatient);
        source.Changed += status => throw new TimeZoneNotFoundException(status.Resource);
        Task running = source.RunAsync(it.Store, CancellationToken.None);

        await Assert.ThrowsAsync<TimeZoneNotFoundException>(() => running.WaitAsync(Patience));
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
    public async Task A_resource_version_from_the_future_leads_to_a_new_list()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1);
        it.Server.Fail("services", HttpStatusCode.GatewayTimeout, "Timeout", cause: "ResourceVersionTooLarge"); // etcd was restored
        it.Server.EndWatches();

        await it.UntilAsync(() => it.Server.Requests.Count(r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal)) == 2);
        await it.UntilAsync(() => it.Status("services").State == ApiWatchState.Watching);
        Assert.NotNull(it.Find("web"));
    }

    [Theory]
    [InlineData("{\"type\":\"ADDED\",\"object\":{\"kind\":")]
    [InlineData("not JSON at all")]
    [InlineData("{\"type\":\"SURPRISE\",\"object\":{}}")]
    [InlineData("{\"type\":\"ADDED\"}")]
    [InlineData("[]")]
    public async Task A_line_that_cannot_be_decoded_leads_to_a_new_list(string line)
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        await it.UntilAsync(() => it.Server.OpenWatches("services") == 1);
        it.Server.SendLine("services", line);

        await it.UntilAsync(() => it.Server.Requests.Count(r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal)) == 2);
        it.Server.Put(Service("after", "10.96.0.11"));
        await it.UntilAsync(() => it.Find("after") is not null);
        Assert.NotNull(it.Find("web"));
        Assert.Contains(it.Statuses, s => s.Resource == "services" && s.LastError.Contains("not understood", StringComparison.Ordinal));
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

        foreach (string plural in (string[])["services", "endpointslices"])
        {
            Assert.All(it.Server.Requests.Where(r => r.Plural == plural), r => Assert.Contains(
                "labelSelector=!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name", Uri.UnescapeDataString(r.Query), StringComparison.Ordinal));
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

    [Theory, MemberData(nameof(BothWaysToList))]
    public async Task A_server_that_falls_silent_in_a_list_is_asked_again(bool streams)
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.StreamsLists = streams;
        it.Server.IsSilent = true;
        it.Server.Put(Service("web"));
        it.Follow(Impatient with { Silence = TimeSpan.FromMilliseconds(200), Answer = TimeSpan.FromSeconds(1) });
        await it.UntilAsync(() => it.Statuses.Any(s => s.LastError.Contains("silent for", StringComparison.Ordinal)
            || s.LastError.Contains("no answer", StringComparison.Ordinal)));
        Assert.False(it.Store.IsSourceComplete);

        it.Server.IsSilent = false;
        await it.UntilAsync(() => it.Store.IsSourceComplete);
        Assert.NotNull(it.Find("web"));
    }

    [Fact]
    public async Task A_watch_whose_end_does_not_come_is_given_up()
    {
        await using SourceFixture it = await StartAsync(
            server => server.Put(Service("web")),
            Impatient with { Watch = TimeSpan.FromSeconds(1), WatchGrace = TimeSpan.FromMilliseconds(-800) }); // before the server's time is over

        await it.UntilAsync(() => it.Server.Requests.Count(r => r.Verb == "watch" && r.Plural == "services") >= 3);
        Assert.NotNull(it.Find("web"));
        Assert.Equal(1, it.Server.Requests.Count(r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal)));
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

    [Fact]
    public async Task While_the_server_is_away_all_stays_and_the_status_says_since_when()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        await it.UntilAsync(() => it.Source.Status.Connected);
        DateTimeOffset connectedSince = it.Source.Status.Since;

        await it.Server.KillAsync();
        await it.UntilAsync(() => !it.Source.Status.Connected);
        ApiServerStatus away = it.Source.Status;
        Assert.NotNull(it.Find("web"));
        Assert.Contains(it.Server.EndPoint.ToString(), away.LastError, StringComparison.Ordinal);
        Assert.True(away.Since >= connectedSince);

        await it.Server.StartAsync();
        await it.UntilAsync(() => it.Source.Status is { Connected: true, LastError: "" });
        it.Server.Put(Service("after", "10.96.0.11"));
        await it.UntilAsync(() => it.Find("after") is not null);
    }

    [Fact]
    public async Task What_is_forbidden_is_named_and_is_read_once_it_is_allowed()
    {
        await using SourceFixture it = await PrepareAsync();
        await it.Server.ForbidAgentAsync("endpointslices");
        it.Server.Put(Service("web"));
        it.Follow();
        await it.UntilAsync(() => it.Find("web") is not null && it.Status("endpointslices").LastError.Length > 0);

        string error = it.Source.Status.LastError;
        Assert.Contains("the permission to watch endpointslices is missing", error, StringComparison.Ordinal);
        Assert.Contains("rbac.yaml", error, StringComparison.Ordinal);
        Assert.Contains("system:serviceaccount:kube-system:clusterlb", error, StringComparison.Ordinal);
        Assert.False(it.Store.IsSourceComplete);

        await it.Server.ForbidAgentAsync(null);
        await it.UntilAsync(() => it.Store.IsSourceComplete && it.Source.Status.LastError.Length == 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Service_ranges_that_are_not_to_be_had_hold_nothing_up(bool isForbidden)
    {
        await using SourceFixture it = await PrepareAsync();
        if (isForbidden)
        {
            await it.Server.ForbidAgentAsync("servicecidrs");
        }

        it.Server.OffersServiceCidrs = isForbidden;
        it.Server.Put(Service("web"));
        it.Follow();
        await it.UntilAsync(() => it.Store.IsSourceComplete && it.Source.Status.Connected);

        Assert.Empty(it.Store.ServiceCidrs);
        Assert.Equal(isForbidden ? ApiWatchState.Waiting : ApiWatchState.NotOffered, it.Status("servicecidrs").State);
        Assert.Equal(isForbidden, it.Source.Status.LastError.Contains("servicecidrs", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_server_that_has_too_much_to_do_is_left_alone_as_long_as_it_asks()
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.Fail("services", HttpStatusCode.TooManyRequests, "TooManyRequests", retryAfterSeconds: 1);
        DateTimeOffset start = DateTimeOffset.UtcNow;
        it.Follow();
        await it.UntilAsync(() => it.Store.IsSourceComplete);

        Assert.True(DateTimeOffset.UtcNow - start >= TimeSpan.FromSeconds(0.95));
        Assert.Contains(it.Statuses, s => s.LastError.Contains("429", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(HttpStatusCode.InternalServerError)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    public async Task A_failing_server_is_asked_again(HttpStatusCode status)
    {
        await using SourceFixture it = await PrepareAsync();
        it.Server.Fail("services", status, "InternalError", times: 4);
        it.Server.Put(Service("web"));
        it.Follow();
        await it.UntilAsync(() => it.Store.IsSourceComplete);

        Assert.NotNull(it.Find("web"));
    }

    [Fact]
    public void Waits_double_up_to_a_limit_with_a_random_part_and_begin_again()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), new Random(1));
        double[] bases = [1, 2, 4, 8, 16, 30, 30];

        Assert.All(bases, seconds => Assert.InRange(backoff.Next().TotalSeconds, seconds, 2 * seconds));
        backoff.Reset();
        Assert.InRange(backoff.Spread().TotalSeconds, 0, 1);
        Assert.InRange(backoff.Next().TotalSeconds, 1, 2);
    }

    [Fact]
    public void The_first_wait_after_a_version_that_is_too_old_is_short_whatever_failed_before_and_those_after_it_double()
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), new Random(1));
        for (int round = 0; round < 3; round++)
        {
            for (int failure = 0; failure < 10; failure++)
            {
                backoff.Next(); // the server is away
            }

            Assert.InRange(backoff.Expired().TotalSeconds, 0, 1);
            Assert.All([1, 2, 4], seconds => Assert.InRange(backoff.Expired().TotalSeconds, seconds, 2 * seconds));
            backoff.Reset(); // an event came
        }
    }

    /// <summary>The system's clock, and for how long it was asked to wait.</summary>
    private sealed class NotedTime : TimeProvider
    {
        private readonly List<TimeSpan> _waits = [];

        public TimeSpan[] Waits
        {
            get
            {
                lock (_waits)
                {
                    return [.. _waits];
                }
            }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            lock (_waits)
            {
                _waits.Add(dueTime);
            }

            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private static int Streamed(FakeApiServer server) =>
        server.Requests.Count(r => r.Plural == "services" && r.Query.Contains("sendInitialEvents", StringComparison.Ordinal));
}
