using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Testing;
using static ClusterLb.Tests.ControlPlane.Kubernetes.Api.SourceFixture;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>Events that an operator sees in <c>kubectl describe</c>.</summary>
public sealed class EventRecorderTests
{
    [Fact]
    public async Task An_event_is_about_its_object_with_its_uid()
    {
        await using SourceFixture it = await StartAsync(server => server.Put(Service("web")));
        string uid = it.Server.Put(Service("web"))["metadata"]!["uid"]!.ToString();
        it.Source.Events.Warn("Service", new ObjectName("test", "web"), "NotServed", "spec.ports[1]: no");
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        JsonObject told = it.Server.Events[0];
        Assert.Equal("test", told["metadata"]!["namespace"]!.ToString());
        Assert.Equal(("Warning", "NotServed", "spec.ports[1]: no"), (told["type"]!.ToString(), told["reason"]!.ToString(), told["note"]!.ToString()));
        Assert.Equal("""{"apiVersion":"v1","kind":"Service","namespace":"test","name":"web","uid":"UID"}""", told["regarding"]!.ToJsonString().Replace(uid, "UID", StringComparison.Ordinal));
        Assert.Equal("node-a", told["reportingInstance"]!.ToString());
    }

    [Fact]
    public async Task What_has_no_namespace_is_told_in_default()
    {
        await using SourceFixture it = await StartAsync();
        it.Source.Events.Warn("Node", new ObjectName("", "node-a"), "MapFull", "no room");
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        Assert.Equal("default", it.Server.Events[0]["metadata"]!["namespace"]!.ToString());
        Assert.Null(it.Server.Events[0]["regarding"]!["namespace"]);
    }

    [Fact]
    public async Task A_flood_is_cut_to_a_burst_and_blocks_nobody()
    {
        await using SourceFixture it = await StartAsync();
        for (int i = 0; i < 5_000; i++)
        {
            it.Source.Events.Warn("Service", new ObjectName("test", $"s{i}"), "NotServed", "no");
        }

        await it.UntilAsync(() => it.Server.Events.Count >= 25);
        Assert.InRange(it.Server.Events.Count, 25, 26);
    }

    [Fact]
    public async Task Events_that_are_forbidden_are_named_in_the_status_and_nothing_else_suffers()
    {
        await using SourceFixture it = await StartAsync();
        await it.Server.ForbidAgentAsync("events");
        it.Source.Events.Warn("Service", new ObjectName("test", "web"), "NotServed", "no");
        await it.UntilAsync(() => it.Source.Status.LastError.Contains("the permission to create events is missing", StringComparison.Ordinal));

        it.Server.Put(Service("web"));
        await it.UntilAsync(() => it.Find("web") is not null);
        Assert.True(it.Source.Status.Connected);
    }

    [Fact]
    public async Task A_long_note_is_cut_to_what_the_API_takes()
    {
        await using SourceFixture it = await StartAsync();
        it.Source.Events.Warn("Service", new ObjectName("test", new string('s', 253)), "NotServed", new string('ä', 2000));
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(it.Server.Events[0]["note"]!.ToString()), 500, 1024);
        Assert.InRange(it.Server.Events[0]["metadata"]!["name"]!.ToString().Length, 200, 253);
    }

    [Fact]
    public async Task The_same_event_again_is_one_series_whose_count_is_told_now_and_then()
    {
        await using SourceFixture it = await PrepareAsync();
        await using var writer = new Writer(it);
        writer.Warn();
        await it.UntilAsync(() => it.Server.Events.Count == 1);
        Assert.Null(it.Server.Events[0]["series"]);

        writer.Warn();
        writer.Warn();
        await writer.AdvanceUntilAsync(() => it.Server.Events[0]["series"] is not null);
        JsonObject told = it.Server.Events.Single();
        Assert.Equal("3", told["series"]!["count"]!.ToString());
        Assert.Matches(@"^2026-01-01T00:\d\d:\d\d\.\d{6}Z$", told["series"]!["lastObservedTime"]!.ToString());
        Assert.Equal(("NotServed", "no"), (told["reason"]!.ToString(), told["note"]!.ToString())); // a patch leaves the rest
        Assert.Equal(["create", "patch"], it.Server.Requests.Where(r => r.Plural == "events").Select(r => r.Verb));
    }

    [Fact]
    public async Task A_series_that_the_server_has_forgotten_begins_anew()
    {
        await using SourceFixture it = await PrepareAsync();
        await using var writer = new Writer(it);
        writer.Warn();
        await it.UntilAsync(() => it.Server.Events.Count == 1);
        await it.Server.DeleteAsync("events", "test", it.Server.Events[0]["metadata"]!["name"]!.ToString());

        writer.Warn();
        await writer.AdvanceUntilAsync(() => it.Server.Requests.Any(r => r is { Verb: "patch", Plural: "events" }));
        writer.Warn();
        await writer.AdvanceUntilAsync(() => it.Server.Events.Count == 1);
    }

    [Fact]
    public async Task What_happens_again_an_hour_later_is_a_new_event()
    {
        await using SourceFixture it = await PrepareAsync();
        await using var writer = new Writer(it);
        writer.Warn();
        await it.UntilAsync(() => it.Server.Events.Count == 1);

        await writer.AdvanceAsync(TimeSpan.FromMinutes(7)); // the series is over, its event is still there
        writer.Warn();
        await it.UntilAsync(() => it.Count("create", "events") == 2);
        Assert.Single(it.Server.Events);

        await writer.AdvanceAsync(TimeSpan.FromMinutes(61));
        writer.Warn();
        await it.UntilAsync(() => it.Server.Events.Count == 2);
    }

    [Fact]
    public async Task Nodes_that_say_the_same_of_an_object_share_one_event()
    {
        await using SourceFixture it = await PrepareAsync();
        await using var first = new Writer(it, "node-a");
        await using var second = new Writer(it, "node-b");
        first.Warn();
        await it.UntilAsync(() => it.Server.Events.Count == 1);
        second.Warn();
        await it.UntilAsync(() => it.Count("create", "events") == 2);
        second.Warn("this node cannot");
        await it.UntilAsync(() => it.Server.Events.Count == 2);

        Assert.Equal(["node-a", "node-b"], it.Server.Events.Select(e => e["reportingInstance"]!.ToString()).Order());
        Assert.Equal((0, ""), (second.Recorder.Dropped, second.Recorder.LastError));
    }

    [Fact]
    public async Task Why_an_event_was_not_written_is_told_for_some_minutes_and_that_it_was_not_for_ever()
    {
        await using SourceFixture it = await PrepareAsync();
        await it.Server.ForbidAgentAsync("events");
        await using var writer = new Writer(it);
        writer.Warn();
        await it.UntilAsync(() => writer.Recorder.LastError.Contains("the permission to create events is missing", StringComparison.Ordinal));

        await writer.AdvanceAsync(TimeSpan.FromMinutes(6));
        await it.UntilAsync(() => writer.Recorder.LastError.Length == 0);
        Assert.Equal(1, writer.Recorder.Dropped);
    }

    /// <summary>A recorder with a clock of the test's own.</summary>
    private sealed class Writer : IAsyncDisposable
    {
        private readonly ManualTime _time = new();
        private readonly CancellationTokenSource _stop = new();
        private readonly SourceFixture _it;
        private readonly ApiClient _client;
        private readonly Task _running;

        public Writer(SourceFixture it, string node = "node-a")
        {
            _it = it;
            _client = new ApiClient(it.Connection(), Impatient);
            Recorder = new EventRecorder(_client, _time);
            _running = Recorder.RunAsync(node, (_, _) => null, _stop.Token);
        }

        public EventRecorder Recorder { get; }

        public void Warn(string note = "no") => Recorder.Warn("Service", new ObjectName("test", "web"), "NotServed", note);

        /// <summary>Moves the clock on whenever the recorder waits for it, until something is so.</summary>
        public Task AdvanceUntilAsync(Func<bool> condition) => _it.UntilAsync(() =>
        {
            if (_time.Timers > 0)
            {
                _time.Advance(TimeSpan.FromSeconds(10));
            }

            return condition();
        });

        /// <summary>Moves the clock on in steps that the recorder can follow.</summary>
        public async Task AdvanceAsync(TimeSpan time)
        {
            for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromSeconds(30))
            {
                await _it.UntilAsync(() => _time.Timers > 0);
                _time.Advance(TimeSpan.FromSeconds(30));
            }

            await _it.UntilAsync(() => _time.Timers > 0);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _client.Dispose();
            _stop.Dispose();
        }
    }
}
