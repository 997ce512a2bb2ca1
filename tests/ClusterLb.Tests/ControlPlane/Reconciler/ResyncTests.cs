using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>The comparison of everything: it writes nothing when nothing is wrong, mends what is, and holds nobody up.</summary>
public sealed class ResyncTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();
    private readonly ReconcileLoop _loop;

    public ResyncTests() => _loop = new ReconcileLoop(_store, _maps, new ReconcileOptions(), _time);

    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void A_resync_of_ten_thousand_services_finds_nothing_to_write()
    {
        Fill(10_000);
        _loop.SyncNow();
        int before = _maps.Writes;

        _loop.ResyncNow();

        Assert.Equal(before, _maps.Writes);
        Assert.Equal((2L, 0L), (_loop.Status.Resyncs, _loop.Status.ResyncWrites));
    }

    [Fact]
    public void Each_entry_that_somebody_spoilt_is_written_once_and_counted()
    {
        Fill(100);
        _store.Put(Service("sticky", "10.97.0.1", "http:80/TCP") with { AffinitySeconds = 60 });
        _store.Put(Slice("sticky", "1", "http:8080/TCP", Ready("10.244.7.7")));
        _loop.SyncNow();
        string good = MapDump.Of(_maps);
        ServiceKey head = _maps.Services.Entries().First(e => e.Key.Slot == 0 && e.Value.Count > 0 && !e.Value.Flags.HasFlag(ServiceFlags.Affinity)).Key;
        Assert.True(_maps.Services.TryLookup(head, out ServiceEntry entry));
        _maps.Services.Update(head, entry with { Flags = ServiceFlags.None });
        _maps.Backends.Delete(_maps.Backends.Entries().First().Key);
        _maps.Services.Update(head with { Port = 4711 }, new ServiceEntry { Flags = ServiceFlags.EndpointsExist });

        // Left by one who was killed between the removal of a slot and of this; and for a frontend whose clients do not stay.
        ServiceKey sticky = _maps.Services.Entries().Single(e => e.Key.Slot == 0 && e.Value.Flags.HasFlag(ServiceFlags.Affinity)).Key;
        Assert.True(_maps.Services.TryLookup(sticky, out ServiceEntry stickyHead));
        uint another = _maps.Backends.Entries().Select(e => e.Key).First(id => !_maps.Eligible.TryLookup(new EligibleKey(stickyHead.RevNatId, sticky.Scope, id), out _));
        _maps.Eligible.Update(new EligibleKey(stickyHead.RevNatId, sticky.Scope, another), 0);
        _maps.Eligible.Update(new EligibleKey(entry.RevNatId, head.Scope, another), 0);

        _store.Put(Slice("s7", "1", "http:8080/TCP", Ready("10.244.0.99"))); // a change beside it counts as one, not as damage
        _loop.ResyncNow();

        Assert.Equal(good.Replace("10.128.7.1:8080", "10.244.0.99:8080", StringComparison.Ordinal).Split('\n').Order(), MapDump.Of(_maps).Split('\n').Order());
        Assert.Equal(5, _loop.Status.ResyncWrites);
        Assert.Equal(1, _maps.Eligible.Count);
        _loop.ResyncNow();
        Assert.Equal(0, _loop.Status.ResyncWrites);
    }

    [Fact]
    public void A_change_that_comes_during_a_resync_is_written_before_the_resync_ends()
    {
        Fill(1000);
        _loop.SyncNow();
        foreach (uint backend in _maps.Backends.Entries().Select(e => e.Key).ToArray())
        {
            _maps.Backends.Delete(backend); // the resync has something to write for every service
        }

        int writes = 0;
        int writtenAt = 0;
        _maps.AfterWrite = () =>
        {
            writes++;
            if (writes == 10)
            {
                _store.Put(Slice("s500", "1", "http:8080/TCP", Ready("10.244.0.99")));
            }
            else if (writtenAt == 0 && _maps.Backends.Entries().Any(e => e.Value.Address == IpAddr.Parse("10.244.0.99")))
            {
                writtenAt = writes;
            }
        };
        _loop.ResyncNow();

        Assert.InRange(writtenAt, 11, 20);
        Assert.Equal(999, _loop.Status.ResyncWrites); // what the change wrote is no damage
        Assert.Null(_loop.Status.PendingSince);
        Assert.Empty(MapReader.Faults(_maps));
    }

    [Fact]
    public void A_change_that_comes_while_strays_are_looked_for_is_written_before_all_maps_were_looked_through()
    {
        const uint strayBackend = 4711;
        Fill(1000);
        _loop.SyncNow();
        ServiceKey head = _maps.Services.Entries().First(e => e.Key.Slot == 0 && e.Value.Count > 0).Key;
        ServiceKey strayHead = head with { Port = 4711 };
        _maps.Services.Update(strayHead, new ServiceEntry { Flags = ServiceFlags.EndpointsExist });
        Assert.True(_maps.Backends.TryLookup(_maps.Backends.Entries().First().Key, out BackendEntry backend));
        _maps.Backends.Update(strayBackend, backend with { Address = IpAddr.Parse("10.99.99.99") });

        bool isSent = false;
        bool? wasFirst = null;
        _maps.AfterWrite = () =>
        {
            if (!isSent && !_maps.Services.TryLookup(strayHead, out _))
            {
                isSent = true;
                _store.Put(Service("late", "10.97.0.1", "http:80/TCP"));
                _store.Put(Slice("late", "1", "http:8080/TCP", Ready("10.244.0.99")));
            }
            else if (wasFirst is null && _maps.Backends.Entries().Any(e => e.Value.Address == IpAddr.Parse("10.244.0.99")))
            {
                wasFirst = _maps.Backends.TryLookup(strayBackend, out _);
            }
        };
        _loop.ResyncNow();

        Assert.True(wasFirst);
        Assert.False(_maps.Backends.TryLookup(strayBackend, out _));
        Assert.Equal(2, _loop.Status.ResyncWrites); // the strays; what the change wrote is no damage
        Assert.Null(_loop.Status.PendingSince);
        Assert.Empty(MapReader.Faults(_maps));
        string whole = MapDump.Of(_maps);
        Assert.Contains("10.244.0.99:8080", whole, StringComparison.Ordinal);
        _maps.AfterWrite = null;
        _loop.ResyncNow();
        Assert.Equal(whole, MapDump.Of(_maps));
    }

    [Fact]
    public async Task The_first_change_is_written_at_once_and_those_that_follow_wait_for_the_period_together()
    {
        Fill(1);
        using var stop = new CancellationTokenSource();
        var syncs = new SemaphoreSlim(0);
        _loop.Completed += _ => syncs.Release();
        Task run = _loop.RunAsync(stop.Token);
        await SyncedAsync();
        await PauseOverAsync(); // of the first sync
        long written = _loop.Status.Writes;

        _store.Put(Slice("s0", "1", "http:8080/TCP", Ready("10.244.0.1")));
        await SyncedAsync(); // no time has passed
        Assert.True(_loop.Status.Writes > written);

        await WaitingAsync();
        written = _loop.Status.Writes;
        for (int n = 2; n < 50; n++)
        {
            _store.Put(Slice("s0", "1", "http:8080/TCP", Ready($"10.244.0.{n}")));
        }

        _time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(written, _loop.Status.Writes);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await SyncedAsync();
        Assert.Equal(3, _loop.Status.Syncs); // one sync for 48 changes
        Assert.Equal(written + 6, _loop.Status.Writes); // as one backend that replaces another

        await stop.CancelAsync();
        await run;

        async Task SyncedAsync() => Assert.True(await syncs.WaitAsync(TimeSpan.FromSeconds(20)));

        async Task PauseOverAsync()
        {
            await WaitingAsync();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        // The loop sleeps by this clock: one timer, of its pause.
        async Task WaitingAsync()
        {
            for (int i = 0; i < 2000 && _time.Timers == 0; i++)
            {
                await Task.Delay(5);
            }

            Assert.Equal(1, _time.Timers);
        }
    }

    private void Fill(int services)
    {
        for (int i = 0; i < services; i++)
        {
            _store.Put(Service($"s{i}", $"10.96.{i >> 8}.{i & 255}", "http:80/TCP"));
            _store.Put(Slice($"s{i}", "1", "http:8080/TCP", Ready($"10.{128 + (i >> 8)}.{i & 255}.1")));
        }

        _store.SourceComplete();
    }
}
