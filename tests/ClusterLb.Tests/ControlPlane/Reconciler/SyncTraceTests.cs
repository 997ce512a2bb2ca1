using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using Microsoft.Win32.SafeHandles;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>Where the time of a change goes (docs/sync.md).</summary>
public sealed class SyncTraceTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly DictionaryLbMaps _maps = new();
    private readonly AwaitedBackends _awaited = AwaitedBackends.CreateInMemory();
    private readonly BackendArrivals _arrivals;
    private readonly SafeFileHandle _arrivalsFile;
    private readonly ClusterStateStore _store;
    private readonly SyncTrace _trace;
    private readonly ReconcileLoop _loop;

    public SyncTraceTests()
    {
        _arrivals = BackendArrivals.CreateInMemory(_awaited, _time);
        _arrivalsFile = _arrivals.OpenDescriptor();
        _store = new ClusterStateStore("node-a", _time);
        _trace = new SyncTrace(_awaited, _time, capacity: 8);
        _loop = new ReconcileLoop(_store, _maps, time: _time, trace: _trace);
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1")));
        _store.SourceComplete();
        _loop.SyncNow();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _arrivalsFile.Dispose();
        _arrivals.Dispose();
        _awaited.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void The_first_list_is_no_change()
    {
        Assert.Empty(_trace.Changes);
        Assert.False(_awaited.IsAny);
    }

    [Fact]
    public void The_first_list_is_timed_from_its_first_bytes_to_its_last_entry()
    {
        using var maps = new DictionaryLbMaps();
        var store = new ClusterStateStore("node-a", _time);
        var trace = new SyncTrace(time: _time);
        using var loop = new ReconcileLoop(store, maps, time: _time, trace: trace);
        store.Put(Service("web", "10.96.0.1", "http:80/TCP") with { Times = new ChangeTimes(null, _time.GetTimestamp()) });
        Pass(20);
        store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1")) with { Times = new ChangeTimes(null, _time.GetTimestamp()) });
        store.SourceComplete();
        Pass(5);
        Assert.Null(trace.FirstList);
        loop.SyncNow();
        Pass(1000);
        loop.ResyncNow();
        Assert.Equal(TimeSpan.FromMilliseconds(25), trace.FirstList);
    }

    [Fact]
    public void Each_stage_has_its_time_and_their_sum_is_the_total()
    {
        DateTimeOffset triggered = _time.GetUtcNow();
        Pass(40.5);
        long received = _time.GetTimestamp();
        Pass(1.25);
        Put(received, triggered, "10.244.1.1", "10.244.1.2");
        Pass(250);
        _loop.SyncNow();
        Pass(7.5);
        Note("10.244.1.2");
        Pass(100); // nobody looks at once
        Look();

        TracedChange change = Assert.Single(_trace.Changes);
        Assert.Equal((40.5, 1.25, 250.0, 7.5), (change.ApiMs, change.ReadMs, change.WriteMs, change.PacketMs));
        Assert.Equal(FirstPacket.Seen, change.FirstPacket);
        Assert.Equal((_time.GetUtcNow() - triggered).TotalMilliseconds - 100, change.TotalMs, tolerance: 0.001);
        Assert.Equal(change.TotalMs, (change.ApiMs + change.ReadMs + change.WriteMs + change.PacketMs)!.Value, tolerance: 0.001);
        Assert.Equal(("test/web", "EndpointSlice", "test/web-1", "IPv4", 4), (change.Service, change.Kind, change.Object, change.Family, change.Writes));
    }

    [Fact]
    public void A_control_plane_whose_clock_is_ahead_gives_a_stage_of_zero_and_is_told()
    {
        Put(_time.GetTimestamp(), _time.GetUtcNow().AddSeconds(3), "10.244.1.1", "10.244.1.2");
        Pass(2);
        _loop.SyncNow();

        TracedChange change = Assert.Single(_trace.Changes);
        Assert.Equal((0.0, 3000.0, 2.0), (change.ApiMs, change.ClockSkewMs, change.TotalMs));
    }

    [Fact]
    public void Without_a_time_of_the_control_plane_the_total_begins_where_the_bytes_were_here()
    {
        long received = _time.GetTimestamp();
        Pass(1);
        Put(received, triggered: null, "10.244.1.1", "10.244.1.2");
        Pass(2);
        _loop.SyncNow();

        TracedChange change = Assert.Single(_trace.Changes);
        Assert.Null(change.ApiMs);
        Assert.Equal(3.0, change.TotalMs);
    }

    [Fact]
    public void Of_the_writing_is_told_what_was_waiting_and_what_garbage_collection()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        GC.Collect();
        Pass(250);
        _loop.SyncNow();

        TracedChange change = Assert.Single(_trace.Changes);
        Assert.Equal((250.0, 250.0), (change.WaitMs, change.WriteMs)); // of a clock that stands still while it is written
        Assert.True(change.GcMs > 0, "no garbage was collected");
    }

    [Fact]
    public void Changes_that_are_written_together_keep_their_own_times()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        Pass(10);
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2", "10.244.1.3");
        Pass(5);
        _loop.SyncNow();

        Assert.Equal([15.0, 5.0], _trace.Changes.Select(c => c.WriteMs));
    }

    [Fact]
    public void A_flow_to_a_backend_that_was_there_before_is_not_the_first_packet()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        _loop.SyncNow();
        Note("10.244.1.1");
        Look();

        Assert.Equal(FirstPacket.Awaited, Assert.Single(_trace.Changes).FirstPacket);
    }

    [Fact]
    public void The_earliest_of_several_new_backends_gives_the_first_packet_and_nothing_is_awaited_after_it()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2", "10.244.1.3", "10.244.1.4");
        _loop.SyncNow();
        Assert.Equal(3, _awaited.Count);
        Pass(1);
        Note("10.244.1.4");
        Pass(1);
        Note("10.244.1.2");
        Pass(1);
        Note("10.244.1.4"); // not its first
        Look();

        Assert.Equal(1.0, Assert.Single(_trace.Changes).PacketMs);
        Assert.False(_awaited.IsAny);
        Assert.False(_trace.IsAwaiting);
    }

    [Fact]
    public void A_backend_that_goes_and_comes_again_is_awaited_anew()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        _loop.SyncNow();
        Pass(1);
        Note("10.244.1.2");
        Look();
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Terminating("10.244.1.2"))); // keeps its id
        _loop.SyncNow();
        Pass(1);
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        _loop.SyncNow();
        Look();
        Assert.Equal([FirstPacket.Seen, FirstPacket.None, FirstPacket.Awaited], _trace.Changes.Select(c => c.FirstPacket));

        Pass(4);
        Note("10.244.1.2");
        Look();
        Assert.Equal(4.0, _trace.Changes[^1].PacketMs);
    }

    [Fact]
    public void Who_gets_no_packet_for_a_minute_is_given_up()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        _loop.SyncNow();
        Pass(60_000);
        Look();

        Assert.Equal(FirstPacket.GivenUp, Assert.Single(_trace.Changes).FirstPacket);
        Assert.False(_awaited.IsAny);
    }

    [Fact]
    public void Only_the_last_changes_are_remembered_and_a_packet_for_a_forgotten_one_harms_nothing()
    {
        for (int n = 2; n < 22; n++)
        {
            Put(_time.GetTimestamp(), null, "10.244.1.1", $"10.244.1.{n}");
            _loop.SyncNow();
        }

        Note("10.244.1.21");
        Look();
        Assert.Equal([13L, 14L, 15L, 16L, 17L, 18L, 19L, 20L], _trace.Changes.Select(c => c.Number));
        Assert.Equal(FirstPacket.Seen, _trace.Changes[^1].FirstPacket);
    }

    [Fact]
    public void A_change_whose_sync_failed_is_traced_when_it_is_written_at_last()
    {
        Put(_time.GetTimestamp(), null, "10.244.1.1", "10.244.1.2");
        _maps.AfterWrite = () => throw new InvalidOperationException("no");
        _loop.SyncNow();
        Assert.Empty(_trace.Changes);

        _maps.AfterWrite = null;
        Pass(1000);
        _loop.SyncNow();
        Assert.Equal(1000.0, Assert.Single(_trace.Changes).WriteMs);
    }

    [Fact]
    public void Services_and_slices_that_go_are_changes_too()
    {
        _store.RemoveSlice(new ObjectName("test", "web-1"));
        _loop.SyncNow();
        _store.RemoveService(new ObjectName("test", "web"));
        _loop.SyncNow();

        Assert.Equal(["EndpointSlice", "Service"], _trace.Changes.Select(c => c.Kind));
        Assert.All(_trace.Changes, c => Assert.True(c.Writes > 0 && c.FirstPacket == FirstPacket.None));
    }

    [Fact]
    public void Half_and_99_of_100_changes_took_at_most_what_the_stage_says()
    {
        TracedChange[] changes = [.. Enumerable.Range(1, 100).Select(n => new TracedChange
        {
            Number = n,
            Service = "",
            Kind = "",
            Object = "",
            Received = default,
            ReadMs = 101 - n,
        })];

        Assert.Equal(new StageLatency("read", 100, 50, 99, 100), StageLatency.Of(changes)[1]);
        Assert.Equal(new StageLatency("packet", 0, 0, 0, 0), StageLatency.Of(changes)[3]);
    }

    private void Put(long received, DateTimeOffset? triggered, params string[] pods) =>
        _store.Put(Slice("web", "1", "http:8080/TCP", [.. pods.Select(p => Ready(p))]) with { Times = new ChangeTimes(triggered, received) });

    private void Note(string backend)
    {
        uint id = _maps.Backends.Entries().Single(e => e.Value.Address == IpAddr.Parse(backend)).Key;
        _arrivals.Note(_maps.ServicePorts.Entries().Single().Key, id);
    }

    private void Look()
    {
        var arrivals = new BackendArrival[AwaitedBackends.Places];
        Assert.True(BackendArrivals.TryRead(_arrivalsFile, arrivals));
        _trace.TakeArrivals(arrivals);
    }

    private void Pass(double milliseconds) => _time.Advance(TimeSpan.FromMilliseconds(milliseconds));
}
