using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>What the maps say of a backend that leaves: that it has left, and with the policy "reset" whether it is gone.</summary>
public sealed class BackendGoneTests : IDisposable
{
    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();
    private readonly Service _web = Service("web", "10.96.0.10", "http:80/TCP");
    private ReconcileLoop _loop;

    public BackendGoneTests() => _loop = new ReconcileLoop(_store, _maps);

    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void The_policy_stands_in_the_frontend_and_the_configuration_speaks_for_who_does_not()
    {
        Write(_web);
        Assert.Equal(BackendGonePolicy.Drain, Policy());
        Write(_web with { BackendGone = BackendGonePolicy.Keep });
        Assert.Equal(BackendGonePolicy.Keep, Policy());

        _loop.Dispose();
        _loop = new ReconcileLoop(_store, _maps, new ReconcileOptions { Selection = new() { BackendGone = BackendGonePolicy.Reset } });
        Write(_web);
        Assert.Equal(BackendGonePolicy.Reset, Policy());
        Write(_web with { BackendGone = BackendGonePolicy.Drain });
        Assert.Equal(BackendGonePolicy.Drain, Policy());
    }

    [Fact]
    public void Only_who_stops_serving_is_a_departure()
    {
        Write(_web, Ready("10.244.1.1"), Ready("10.244.1.2"));
        ulong before = _maps.Departures;
        Write(_web, Ready("10.244.1.1"), Terminating("10.244.1.2"), Ready("10.244.1.3"));
        Assert.Equal(before, _maps.Departures);

        Write(_web, Ready("10.244.1.1"), Ready("10.244.1.3"));
        Assert.Equal(before + 1, _maps.Departures);
        Write(_web, Ready("10.244.1.1"), NotReady("10.244.1.3"));
        Assert.Equal(before + 2, _maps.Departures);
        _store.RemoveService(_web.Name);
        _loop.SyncNow();
        Assert.Equal(before + 3, _maps.Departures);
    }

    [Fact]
    public void With_reset_a_backend_that_is_not_ready_is_still_there_but_serves_nobody()
    {
        Service web = _web with { BackendGone = BackendGonePolicy.Reset };
        Write(web, Ready("10.244.1.1"), Ready("10.244.1.2"));
        uint id = IdOf("10.244.1.2");
        Write(web, Ready("10.244.1.1"), NotReady("10.244.1.2"));
        Assert.Equal((id, BackendState.NotServing), (IdOf("10.244.1.2"), StateOf("10.244.1.2")));
        Assert.DoesNotContain(_maps.Serving.Entries(), e => e.Key.BackendId == id);

        // Over a restart of the agent, too.
        _loop.Dispose();
        _loop = new ReconcileLoop(_store, _maps);
        Write(web, Ready("10.244.1.1"), NotReady("10.244.1.2"));
        Assert.Equal((id, BackendState.NotServing), (IdOf("10.244.1.2"), StateOf("10.244.1.2")));

        Write(web, Ready("10.244.1.1"), Ready("10.244.1.2"));
        Assert.Equal((id, BackendState.Active), (IdOf("10.244.1.2"), StateOf("10.244.1.2")));
        Write(web, Ready("10.244.1.1"), NotReady("10.244.1.2"));
        ulong before = _maps.Departures;
        Write(web, Ready("10.244.1.1"));
        Assert.Equal(0u, IdOf("10.244.1.2"));
        Assert.True(_maps.Departures > before);
        Assert.Empty(MapReader.Faults(_maps));
    }

    [Fact]
    public void Without_reset_nothing_is_kept_of_a_backend_that_is_not_ready()
    {
        Write(_web, Ready("10.244.1.1"), Ready("10.244.1.2"));
        Write(_web, Ready("10.244.1.1"), NotReady("10.244.1.2"));
        Assert.Equal(0u, IdOf("10.244.1.2"));
    }

    private void Write(Service service, params Backend[] backends)
    {
        _store.Put(service);
        _store.Put(Slice("web", "1", "http:8080/TCP", backends));
        _store.SourceComplete();
        _loop.SyncNow();
    }

    private BackendGonePolicy Policy()
    {
        _maps.Services.TryLookup(new ServiceKey(IpAddr.Parse("10.96.0.10"), 80, IpProtocol.Tcp, LookupScope.External, 0), out ServiceEntry head);
        return BackendGonePolicies.Of(head.Flags);
    }

    private uint IdOf(string address) => _maps.Backends.Entries().FirstOrDefault(e => e.Value.Address == IpAddr.Parse(address)).Key;

    private BackendState StateOf(string address) => _maps.Backends.Entries().Single(e => e.Value.Address == IpAddr.Parse(address)).Value.State;
}
