using System.Net;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Testing.Kubernetes;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>What a server, or the way to it, can do to list and watch: all stays served, and goes on where it was.</summary>
public sealed class ReflectorFailureTests
{
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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
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
        ApiWatchState expected = isForbidden ? ApiWatchState.Waiting : ApiWatchState.NotOffered;
        await it.UntilAsync(() => it.Status("servicecidrs").State == expected // it asks again now and then
            && it.Source.Status.LastError.Contains("servicecidrs", StringComparison.Ordinal) == isForbidden);
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
}
