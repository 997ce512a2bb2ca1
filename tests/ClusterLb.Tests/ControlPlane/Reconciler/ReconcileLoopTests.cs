using System.Threading.Channels;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

public sealed class ReconcileLoopTests
{
    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();

    [Fact]
    public void Nothing_of_an_earlier_life_is_touched_before_the_first_complete_list()
    {
        Fill();
        _store.SourceComplete();
        using (var loop = new ReconcileLoop(_store, _maps))
        {
            loop.SyncNow();
        }

        string before = MapDump.Of(_maps);
        var store = new ClusterStateStore("node-a");
        store.Put(Service("web", "10.96.0.1", "http:80/TCP")); // its slices have not come yet
        using var next = new ReconcileLoop(store, _maps);
        next.SyncNow();
        Assert.False(next.Status.IsSynced);
        Assert.Equal(before, MapDump.Of(_maps));

        store.SourceComplete();
        next.SyncNow();
        Assert.True(next.Status.IsSynced);
        Assert.Equal(0, _maps.Backends.Count);
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.1", 80), out ServiceEntry head));
        Assert.Equal(0u, head.Count);
    }

    [Fact]
    public void What_becomes_of_hints_is_told_once_and_again_when_it_changes()
    {
        var told = new List<string>();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _store.SourceComplete();
        using var loop = new ReconcileLoop(_store, _maps);
        loop.TopologyDecided += (port, decision) => told.Add($"{port} {decision.Mode}: {decision.Why}");

        Backend[] without = [Ready("10.244.1.1")];
        Backend[] others = [Ready("10.244.1.1").ForNodes("node-b"), Ready("10.244.1.2").ForNodes("node-b")];
        Backend[] ours = [Ready("10.244.1.1").ForNodes("node-a"), Ready("10.244.1.2").ForNodes("node-b")];
        Backend[] oneLess = [Ready("10.244.1.1").ForNodes("node-a")];
        foreach (Backend[] backends in (Backend[][])[without, others, ours, oneLess, without, ours])
        {
            _store.Put(Slice("web", "1", "http:8080/TCP", backends));
            loop.SyncNow();
            loop.ResyncNow();
        }

        Assert.Equal(3, told.Count);
        Assert.StartsWith("test/web:http Off: node mode off: no hint names node node-a, only node-b", told[0], StringComparison.Ordinal);
        Assert.Equal("test/web:http Node: node mode: 1 of 2 endpoints are meant for node node-a", told[1]);
        Assert.Equal(told[1], told[2]); // they were gone meanwhile
    }

    [Fact]
    public void Synced_is_said_only_after_everything_else_was_written()
    {
        Fill();
        _store.SetNetwork(new NetworkInputs());
        int lastOther = 0;
        int synced = 0;
        _maps.AfterWrite = () =>
        {
            bool isSynced = _maps.Node.TryLookup(0, out NodeEntry node) && node.Flags.HasFlag(NodeFlags.Synced);
            synced = isSynced && synced == 0 ? _maps.Writes : synced;
            lastOther = _maps.Writes;
        };
        using var loop = new ReconcileLoop(_store, _maps);
        loop.SyncNow();
        Assert.Equal(0, synced);

        _store.SourceComplete();
        loop.SyncNow();
        Assert.True(synced > 0);
        Assert.Equal(lastOther, synced);
    }

    [Fact]
    public void A_resync_mends_what_was_damaged_and_removes_what_is_foreign()
    {
        Fill();
        _store.SourceComplete();
        using var loop = new ReconcileLoop(_store, _maps);
        loop.SyncNow();
        string good = MapDump.Of(_maps);

        _maps.Services.Delete(Head("10.96.0.1", 80) with { Slot = 1 });
        _maps.Services.Update(Head("10.96.9.9", 80), new ServiceEntry { Count = 3, RevNatId = 77 });
        _maps.Services.Update(Head("10.96.9.9", 80) with { Slot = 3 }, new ServiceEntry { BackendId = 9 });
        _maps.Backends.Delete(_maps.Backends.Entries().First().Key);
        _maps.Backends.Update(999, new BackendEntry(IpAddr.Parse("10.0.0.9"), 1, IpProtocol.Tcp, BackendState.Active));
        _maps.Serving.Update(new ServingKey(999, 999), 0);
        _maps.ReverseNat.Update(999, new ReverseNatEntry(IpAddr.Parse("10.96.0.1"), 80, IpProtocol.Tcp));
        _maps.ServicePorts.Update(999, new ServicePortEntry(1));
        _maps.ServiceNames.Update(999, "test/gone:http");
        Assert.NotEqual(good, MapDump.Of(_maps));

        loop.ResyncNow();
        Assert.Equal(good, MapDump.Of(_maps));
    }

    [Fact]
    public void The_revision_of_a_service_port_rises_after_a_backend_stopped_serving_and_not_before()
    {
        Fill();
        _store.SourceComplete();
        using var loop = new ReconcileLoop(_store, _maps);
        loop.SyncNow();
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.1", 80), out ServiceEntry head));
        Assert.True(_maps.ServicePorts.TryLookup(head.ServicePortId, out ServicePortEntry before));
        int serving = _maps.Serving.Count;
        _maps.AfterWrite = () =>
        {
            _maps.ServicePorts.TryLookup(head.ServicePortId, out ServicePortEntry now);
            Assert.True(now == before || _maps.Serving.Count < serving);
        };

        // Terminating, but serving: flows may stay.
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Terminating("10.244.1.2")));
        loop.SyncNow();
        Assert.True(_maps.ServicePorts.TryLookup(head.ServicePortId, out ServicePortEntry still));
        Assert.Equal(before, still);

        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1")));
        loop.SyncNow();
        Assert.True(_maps.ServicePorts.TryLookup(head.ServicePortId, out ServicePortEntry after));
        Assert.True(after.Revision > before.Revision);
    }

    [Fact]
    public void Ids_are_not_given_twice_over_a_restart()
    {
        Fill();
        _store.SourceComplete();
        using (var loop = new ReconcileLoop(_store, _maps))
        {
            loop.SyncNow();
        }

        uint highest = _maps.Backends.Entries().Max(e => e.Key);
        var store = new ClusterStateStore("node-a");
        store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.9")));
        store.SourceComplete();
        using var next = new ReconcileLoop(store, _maps);
        next.SyncNow();
        Assert.True(Assert.Single(_maps.Backends.Entries()).Key > highest);
    }

    [Fact]
    public void A_network_that_comes_during_a_sync_is_not_said_to_be_in_the_maps()
    {
        Fill();
        _store.SourceComplete();
        using var loop = new ReconcileLoop(_store, _maps);
        Assert.Equal(0, loop.Status.NetworkVersion);
        long first = _store.SetNetwork(new NetworkInputs());
        long second = 0;
        _maps.AfterWrite = () => second = second > 0 ? second : _store.SetNetwork(new NetworkInputs());
        var said = new List<long>();
        loop.Completed += status => said.Add(status.NetworkVersion);

        loop.SyncNow();
        loop.SyncNow();

        Assert.True(second > first);
        Assert.Equal([first, second], said);
    }

    [Fact]
    public async Task A_running_loop_writes_changes_and_tells()
    {
        using var stop = new CancellationTokenSource();
        using var loop = new ReconcileLoop(_store, _maps, new ReconcileOptions { MinSyncPeriod = TimeSpan.FromMilliseconds(1) });
        Channel<ReconcileStatus> completed = Channel.CreateUnbounded<ReconcileStatus>();
        loop.Completed += status => completed.Writer.TryWrite(status);
        Task run = loop.RunAsync(stop.Token);
        Fill();
        _store.SourceComplete();

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!(await completed.Reader.ReadAsync(patience.Token)).IsSynced)
        {
        }

        _store.RemoveService(new ObjectName("test", "web"));
        while ((await completed.Reader.ReadAsync(patience.Token)).Services > 0)
        {
        }

        await stop.CancelAsync();
        await run;
        Assert.Equal(0, _maps.Services.Count);
        Assert.Null(loop.Status.PendingSince);
    }

    [Fact]
    public async Task A_change_after_a_comparison_that_found_nothing_does_not_wait_for_the_least_period()
    {
        using var stop = new CancellationTokenSource();
        var never = TimeSpan.FromHours(1);
        using var loop = new ReconcileLoop(_store, _maps, new ReconcileOptions { MinSyncPeriod = never, SyncPeriod = never });
        Fill();
        _store.SourceComplete();
        loop.SyncNow();
        Channel<ReconcileStatus> completed = Channel.CreateUnbounded<ReconcileStatus>();
        loop.Completed += status => completed.Writer.TryWrite(status);
        Task run = loop.RunAsync(stop.Token);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        loop.RequestResync();
        while ((await completed.Reader.ReadAsync(patience.Token)).Resyncs < 2)
        {
        }

        _store.RemoveService(new ObjectName("test", "web"));
        while ((await completed.Reader.ReadAsync(patience.Token)).Services > 0)
        {
        }

        await stop.CancelAsync();
        await run;
    }

    [Fact]
    public void Frontends_with_two_scopes_and_affinity_come_change_and_go_whole()
    {
        var random = new Random(31);
        var reconciler = new MapReconciler(_maps);
        _maps.AfterWrite = () => Assert.Empty(MapReader.Faults(_maps));
        var service = new ObjectName("test", "web");
        var key = new ServicePortKey(service, "http", IpProtocol.Tcp, IsIpv4: true);
        var frontend = new FrontendKey(IpAddr.Parse("203.0.113.7"), 80, IpProtocol.Tcp);

        for (int step = 0; step < 500; step++)
        {
            BackendKey[] all = [.. Enumerable.Range(1, 8).Where(_ => random.Next(2) == 0)
                .Select(n => new BackendKey(IpAddr.FromIpv4(0x0AF40000u + (uint)n), 8080, IpProtocol.Tcp))];
            BackendKey[] local = [.. all.Where(_ => random.Next(3) == 0)];
            bool twoScopes = random.Next(2) == 0;
            bool affinity = random.Next(2) == 0;
            ServiceFlags flags = ServiceFlags.ExternalIp | (twoScopes ? ServiceFlags.TwoScopes : ServiceFlags.None) | (affinity ? ServiceFlags.Affinity : ServiceFlags.None);
            reconciler.Sync(new ServiceImage(
                service,
                [new ServicePortImage(key, [.. all.Select(b => new BackendImage(b, BackendState.Active))],
                    [new FrontendImage(frontend, flags, local) { InternalSlots = all, AffinitySeconds = affinity ? 60u : 0 }])],
                []));

            int slots = local.Length + 1 + (twoScopes ? all.Length + 1 : 0);
            int eligible = affinity ? local.Length + (twoScopes ? all.Length : 0) : 0;
            Assert.True(slots == _maps.Services.Count && eligible == _maps.Eligible.Count,
                $"step {step}: {_maps.Services.Count} service entries, want {slots}; {_maps.Eligible.Count} eligible, want {eligible}");
        }

        reconciler.Sync(ServiceImage.Nothing(service));
        Assert.Equal(0, _maps.Services.Count + _maps.Eligible.Count + _maps.Backends.Count + _maps.Serving.Count + _maps.ReverseNat.Count);
    }

    [Fact]
    public void An_id_that_was_released_is_not_given_again_after_a_restart()
    {
        MapReconciler reconciler = new(_maps);
        Serve(reconciler, "web", "10.96.0.1", "10.244.1.1");
        Serve(reconciler, "last", "10.96.0.2", "10.244.1.2");
        uint backend = _maps.Backends.Entries().Max(e => e.Key);
        uint frontend = _maps.ReverseNat.Entries().Max(e => e.Key);
        uint port = _maps.ServicePorts.Entries().Max(e => e.Key);
        reconciler.Sync(ServiceImage.Nothing(new ObjectName("test", "last")));

        Serve(new MapReconciler(_maps), "next", "10.96.0.3", "10.244.1.3");

        Assert.Equal(backend + 1, _maps.Backends.Entries().Max(e => e.Key));
        Assert.Equal(frontend + 1, _maps.ReverseNat.Entries().Max(e => e.Key));
        Assert.Equal(port + 1, _maps.ServicePorts.Entries().Max(e => e.Key));
    }

    [Fact]
    public void An_id_that_a_slot_still_names_is_not_given_to_another_when_the_backends_were_lost()
    {
        Serve(new MapReconciler(_maps), "web", "10.96.0.1", "10.244.1.1");
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.1", 80) with { Slot = 1 }, out ServiceEntry slot));
        _maps.Services.Update(Head("10.96.0.1", 80) with { Slot = 1 }, slot with { BackendId = 500 });

        Serve(new MapReconciler(_maps), "next", "10.96.0.2", "10.244.1.2");

        Assert.Equal(501u, _maps.Backends.Entries().Max(e => e.Key));
    }

    [Fact]
    public void A_damaged_head_costs_no_more_deletes_than_the_map_has_entries()
    {
        var maps = new DictionaryLbMaps(capacity: 100);
        var reconciler = new MapReconciler(maps);
        Serve(reconciler, "web", "10.96.0.1", "10.244.1.1");
        Assert.True(maps.Services.TryLookup(Head("10.96.0.1", 80), out ServiceEntry head));
        maps.Services.Update(Head("10.96.0.1", 80), head with { Count = uint.MaxValue, Flags = head.Flags | ServiceFlags.Affinity });

        reconciler.Sync(ServiceImage.Nothing(new ObjectName("test", "web"))); // of 4 billion it would take minutes

        Assert.Equal(0, maps.Services.Count);
    }

    [Fact]
    public void A_change_that_comes_during_a_sync_that_fails_is_pending_from_then_on()
    {
        Fill();
        _store.SourceComplete();
        using var loop = new ReconcileLoop(_store, _maps); // it counts only changes that come after it
        _maps.AfterWrite = () =>
        {
            _store.Put(Service("api", "10.96.0.9", "http:80/TCP"));
            throw new IOException("no");
        };

        Assert.Throws<IOException>(loop.SyncNow);

        Assert.NotNull(loop.Status.PendingSince);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_service_that_cannot_be_written_keeps_nobody_else_up_is_named_and_is_written_when_it_can_be(bool isFirst)
    {
        var bad = new ObjectName("test", "bad");
        using var loop = new ReconcileLoop(_store, _maps);
        _store.SourceComplete();
        if (!isFirst)
        {
            loop.SyncNow();
        }

        Fill();
        _store.Put(Service("bad", "10.96.0.66", "http:80/TCP"));
        _store.Put(Slice("bad", "1", "http:8080/TCP", Ready("10.244.1.66")));
        _store.Put(Service("other", "10.96.0.67", "http:80/TCP"));
        _maps.AfterWrite = () =>
        {
            if (_maps.ServiceNames.Entries().Any(e => e.Value.StartsWith("test/bad:", StringComparison.Ordinal)))
            {
                _maps.ServiceNames.Delete(_maps.ServiceNames.Entries().Single(e => e.Value.StartsWith("test/bad:", StringComparison.Ordinal)).Key);
                throw new InvalidOperationException("a bug");
            }
        };
        loop.SyncNow();

        Assert.True(_maps.Services.TryLookup(Head("10.96.0.1", 80), out _));
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.67", 80), out _));
        Assert.False(_maps.Services.TryLookup(Head("10.96.0.66", 80), out _));
        Assert.True(loop.Status is { IsSynced: true, IncompleteServices: 1, LastError: null });
        Assert.Contains(_store.Problems, p => p.Name == bad && p.Reason.Contains("could not be written: a bug", StringComparison.Ordinal));

        _maps.AfterWrite = null;
        loop.SyncNow(); // nothing changed since
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.66", 80), out ServiceEntry head));
        Assert.Equal(1u, head.Count);
        Assert.Equal(0, loop.Status.IncompleteServices);
        Assert.DoesNotContain(_store.Problems, p => p.Name == bad);
    }

    [Fact]
    public void What_an_earlier_life_left_of_a_service_that_cannot_be_written_now_stays()
    {
        Fill();
        _store.SourceComplete();
        using (var before = new ReconcileLoop(_store, _maps))
        {
            before.SyncNow();
        }

        _store.Put(Service("web", "10.96.0.1", "http:80/TCP", "more:81/TCP"));
        using var next = new ReconcileLoop(_store, _maps);
        _maps.AfterWrite = () => throw new InvalidOperationException("a bug");
        next.SyncNow();
        Assert.Equal(1, next.Status.IncompleteServices);
        Assert.True(_maps.Services.TryLookup(Head("10.96.0.1", 80), out ServiceEntry head));
        Assert.Equal(2u, head.Count);
    }

    private static void Serve(MapReconciler reconciler, string name, string address, string backend)
    {
        var service = new ObjectName("test", name);
        var backendKey = new BackendKey(IpAddr.Parse(backend), 8080, IpProtocol.Tcp);
        var frontend = new FrontendKey(IpAddr.Parse(address), 80, IpProtocol.Tcp);
        reconciler.Sync(new ServiceImage(
            service,
            [new ServicePortImage(new ServicePortKey(service, "http", IpProtocol.Tcp, IsIpv4: true),
                [new BackendImage(backendKey, BackendState.Active)],
                [new FrontendImage(frontend, ServiceFlags.None, [backendKey])])],
            []));
    }

    private void Fill()
    {
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Ready("10.244.1.2")));
    }

    private static ServiceKey Head(string address, ushort port) => new(IpAddr.Parse(address), port, IpProtocol.Tcp, LookupScope.External, 0);
}
