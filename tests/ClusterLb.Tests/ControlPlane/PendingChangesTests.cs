using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane;

/// <summary>How old the oldest change is that is not in the maps, by family: what /healthz judges by.</summary>
public sealed class PendingChangesTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly ClusterStateStore _store;
    private readonly DictionaryLbMaps _maps = new();
    private readonly ReconcileLoop _loop;

    public PendingChangesTests()
    {
        _store = new ClusterStateStore("node-a", _time);
        _loop = new ReconcileLoop(_store, _maps, time: _time);
        _store.SetNetwork(new NetworkInputs());
        _store.SourceComplete();
        _loop.SyncNow();
        _time.Advance(TimeSpan.FromMinutes(1));
    }

    public void Dispose() => _loop.Dispose();

    [Fact]
    public void A_change_concerns_the_families_of_its_object_alone()
    {
        _store.Put(Slice("web", "6", "http:8080/TCP", Ready("fd10::5")));
        Assert.Equal((null, _time.GetUtcNow()), (Since(isIpv4: true), Since(isIpv4: false)));

        _loop.SyncNow();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        Assert.Equal((_time.GetUtcNow(), null), (Since(isIpv4: true), Since(isIpv4: false)));

        _loop.SyncNow();
        _store.Put(Service("web", "10.96.0.1,fd10:96::1", "http:80/TCP"));
        Assert.Equal((_time.GetUtcNow(), _time.GetUtcNow()), (Since(isIpv4: true), Since(isIpv4: false)));
    }

    [Fact]
    public void The_age_counts_from_the_oldest_change_and_ends_with_the_sync_that_writes_it()
    {
        DateTimeOffset first = _time.GetUtcNow();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _time.Advance(TimeSpan.FromSeconds(50));
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.5")));
        Assert.Equal(first, Since(isIpv4: true));
        Assert.Equal(_time.GetUtcNow(), _store.Pending.Of(isIpv4: true).LastQueued);

        _loop.SyncNow();
        Assert.Null(Since(isIpv4: true));
        Assert.Equal(_time.GetUtcNow(), _store.Pending.Of(isIpv4: true).LastWritten);
        Assert.Equal(Families.Ipv4, _store.Pending.LastWritten);
    }

    [Fact]
    public void A_sync_that_fails_writes_nothing_off()
    {
        DateTimeOffset first = _time.GetUtcNow();
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP"));
        _maps.AfterWrite = () => throw new IOException("no maps");
        Assert.Throws<IOException>(_loop.SyncNow);
        _time.Advance(TimeSpan.FromSeconds(5));
        _store.Put(Service("web", "10.96.0.1,fd10:96::1", "http:80/TCP"));
        Assert.Throws<IOException>(_loop.SyncNow);
        Assert.Equal((first, _time.GetUtcNow()), (Since(isIpv4: true), Since(isIpv4: false)));
        Assert.Equal(2, _store.Pending.PendingServices);

        _maps.AfterWrite = () => { };
        _loop.SyncNow();
        Assert.Equal((null, null), (Since(isIpv4: true), Since(isIpv4: false)));
        Assert.Equal(0, _store.Pending.PendingServices);
    }

    private DateTimeOffset? Since(bool isIpv4) => _store.Pending.Of(isIpv4).PendingSince;
}
