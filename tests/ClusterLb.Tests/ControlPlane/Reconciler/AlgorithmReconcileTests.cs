using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

public sealed class AlgorithmReconcileTests : IDisposable
{
    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();
    private readonly Service _web = Service("web", "10.96.0.10", "http:80/TCP");
    private ReconcileLoop _loop;

    public AlgorithmReconcileTests()
    {
        _loop = new ReconcileLoop(_store, _maps);
        _store.Put(_web);
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Ready("10.244.1.2"), Ready("10.244.1.3", "node-a")));
        _store.SourceComplete();
        _loop.SyncNow();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void A_service_says_how_it_is_balanced_and_else_the_configuration_does()
    {
        Assert.Equal(SelectionAlgorithm.Random, Head().Algorithm);
        _store.Put(_web with { Algorithm = SelectionAlgorithm.LeastConnections });
        _loop.SyncNow();
        Assert.Equal(SelectionAlgorithm.LeastConnections, Head().Algorithm);

        _loop.Dispose();
        _loop = new ReconcileLoop(_store, _maps, new ReconcileOptions { Selection = new() { Algorithm = SelectionAlgorithm.RoundRobin } });
        _store.Put(_web);
        _loop.SyncNow();
        Assert.Equal(SelectionAlgorithm.RoundRobin, Head().Algorithm);
    }

    [Fact]
    public void Only_services_that_choose_by_a_hash_have_a_table()
    {
        Assert.Empty(_maps.Maglev.Keys());
        _store.Put(_web with { Algorithm = SelectionAlgorithm.Maglev });
        _loop.SyncNow();
        Assert.Equal([BackendSetKind.Cluster], Sets());
        Assert.Equal(["10.244.1.1", "10.244.1.2", "10.244.1.3"], Members(BackendSetKind.Cluster));

        _store.Put(_web);
        _loop.SyncNow();
        Assert.Empty(_maps.Maglev.Keys());
    }

    [Fact]
    public void A_table_follows_the_endpoints_and_is_written_once_per_change()
    {
        _store.Put(_web with { Algorithm = SelectionAlgorithm.SourceHash });
        _loop.SyncNow();
        int tables = _maps.Maglev.Writes;
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Ready("10.244.1.2")));
        _loop.SyncNow();

        Assert.Equal(["10.244.1.1", "10.244.1.2"], Members(BackendSetKind.Cluster));
        Assert.Equal(tables + 1, _maps.Maglev.Writes);
        int writes = _maps.Writes;
        _loop.ResyncNow();
        Assert.Equal(writes, _maps.Writes);
    }

    [Fact]
    public void The_next_agent_finds_nothing_to_do_and_removes_what_nobody_asks_for()
    {
        _store.Put(_web with { Algorithm = SelectionAlgorithm.Maglev });
        _loop.SyncNow();
        _maps.Maglev.Update(new MaglevKey(777, BackendSetKind.Cluster), new uint[_maps.Maglev.TableSize]);
        int writes = _maps.Writes;
        _loop.Dispose();
        _loop = new ReconcileLoop(_store, _maps);
        _loop.SyncNow();

        Assert.Equal(writes + 1, _maps.Writes);
        Assert.Equal([BackendSetKind.Cluster], Sets());
    }

    [Fact]
    public void Local_policies_have_tables_of_their_own()
    {
        _store.Put(_web with
        {
            Algorithm = SelectionAlgorithm.Maglev,
            Type = ServiceType.LoadBalancer,
            LoadBalancerIps = [IpAddr.Parse("203.0.113.7")],
            ExternalTrafficPolicy = TrafficPolicy.Local,
        });
        _loop.SyncNow();

        Assert.Equal([BackendSetKind.Cluster, BackendSetKind.Local], Sets());
        Assert.Equal(["10.244.1.3"], Members(BackendSetKind.Local));
    }

    [Fact]
    public void A_service_that_goes_takes_its_tables_along()
    {
        _store.Put(_web with { Algorithm = SelectionAlgorithm.Maglev });
        _loop.SyncNow();
        _store.RemoveService(_web.Name);
        _loop.SyncNow();

        Assert.Empty(_maps.Maglev.Keys());
    }

    [Fact]
    public void Without_room_for_a_table_the_service_is_served_and_named()
    {
        using var maps = new DictionaryLbMaps { Tables = new DictionaryMaglevMap(0) };
        using var loop = new ReconcileLoop(_store, maps);
        _store.Put(_web with { Algorithm = SelectionAlgorithm.Maglev });
        loop.SyncNow();

        Assert.Empty(MapReader.Faults(maps));
        Assert.Empty(loop.Status.FullMaps);
        Assert.Contains(_store.Problems, p => p.Name == _web.Name && p.Reason.Contains("no room for its Maglev table", StringComparison.Ordinal));
        Assert.Equal(3, (int)Head(maps).Count);
    }

    [Fact]
    public void The_endpoints_of_the_canary_lie_beside_the_own_ones_and_are_followed()
    {
        _store.Put(Service("web-canary", "10.96.0.11", "http:80/TCP"));
        _store.Put(_web with { Split = Split(10), AffinitySeconds = 60 });
        _loop.SyncNow();
        Assert.Equal(0u, Head().SharePercent); // it has none yet

        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.1")));
        _loop.SyncNow();
        Assert.Equal((10u, true), (Head().SharePercent, Head().Flags.HasFlag(ServiceFlags.Split)));
        Assert.Equal(["10.244.2.1"], Slots(LookupScope.ExternalCanary));
        Assert.Empty(MapReader.Faults(_maps));

        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.2"), NotReady("10.244.2.3")));
        _loop.SyncNow();
        Assert.Equal(["10.244.2.2"], Slots(LookupScope.ExternalCanary));
        Assert.Equal(["10.244.1.1", "10.244.1.2", "10.244.1.3"], Slots(LookupScope.External));

        _store.RemoveSlice(new ObjectName("test", "web-canary-1"));
        _loop.SyncNow();
        Assert.Equal((0u, false), (Head().SharePercent, Head().Flags.HasFlag(ServiceFlags.Split)));
        Assert.Empty(Slots(LookupScope.ExternalCanary));
    }

    [Fact]
    public void A_change_of_the_canary_costs_what_it_changes()
    {
        _store.Put(Service("web-canary", "10.96.0.11", "http:80/TCP"));
        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.1")));
        _store.Put(_web with { Split = Split(10) });
        _loop.SyncNow();
        int before = _maps.Writes;
        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.1"), Ready("10.244.2.2")));
        _loop.SyncNow();

        Assert.Equal(7, _maps.Writes - before); // a backend; for each of the two services serving, slot and head
    }

    [Fact]
    public void The_split_of_a_local_policy_takes_local_endpoints()
    {
        _store.Put(Service("web-canary", "10.96.0.11", "http:80/TCP"));
        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.1"), Ready("10.244.2.2", "node-a")));
        _store.Put(_web with { Split = Split(10), InternalTrafficPolicy = TrafficPolicy.Local });
        _loop.SyncNow();

        Assert.Equal(["10.244.1.3"], Slots(LookupScope.External));
        Assert.Equal(["10.244.2.2"], Slots(LookupScope.ExternalCanary));
    }

    [Fact]
    public void A_canary_serves_a_service_that_has_no_endpoint()
    {
        _store.Put(Service("web-canary", "10.96.0.11", "http:80/TCP"));
        _store.Put(Slice("web-canary", "1", "http:8080/TCP", Ready("10.244.2.1")));
        _store.Put(_web with { Split = Split(10) });
        _store.RemoveSlice(new ObjectName("test", "web-1"));
        _loop.SyncNow();

        Assert.True(Head().Flags.HasFlag(ServiceFlags.EndpointsExist));
        Assert.Equal(["10.244.2.1"], Slots(LookupScope.ExternalCanary));
    }

    [Fact]
    public void An_unknown_service_or_port_is_told_and_nothing_is_lost()
    {
        _store.Put(_web with { Split = Split(10) });
        _loop.SyncNow();
        Assert.Contains(_store.Problems, p => p.Reason.Contains("no proxied service test/web-canary", StringComparison.Ordinal));
        Assert.Equal(3, Slots(LookupScope.External).Length);

        _store.Put(Service("web-canary", "10.96.0.11", "grpc:80/TCP"));
        _loop.SyncNow();
        Assert.Contains(_store.Problems, p => p.Reason.Contains("has no port of this name", StringComparison.Ordinal));
        Assert.All(_store.Problems, p => Assert.Equal((ProblemEffect.AnnotationIgnored, "metadata.annotations[clusterlb.io/split]"), (p.Effect, p.Field)));

        _store.Put(Service("web-canary", "10.96.0.11", "http:80/TCP"));
        _loop.SyncNow();
        Assert.Empty(_store.Problems);
    }

    private static TrafficSplit Split(int percent) => new(new ObjectName("test", "web-canary"), percent);

    private ServiceEntry Head() => Head(_maps);

    private static ServiceEntry Head(LbMaps maps) =>
        maps.Services.TryLookup(Key(LookupScope.External, 0), out ServiceEntry head) ? head : default;

    private static ServiceKey Key(LookupScope scope, uint slot) => new(IpAddr.Parse("10.96.0.10"), 80, IpProtocol.Tcp, scope, slot);

    private string[] Slots(LookupScope scope) =>
        [.. _maps.Services.Entries().Where(e => e.Key == Key(scope, e.Key.Slot) && e.Key.Slot > 0).Select(e => Name(e.Value.BackendId)).Order(StringComparer.Ordinal)];

    private BackendSetKind[] Sets() => [.. _maps.Maglev.Keys().Select(key => key.Set).Order()];

    private string[] Members(BackendSetKind set)
    {
        var table = new uint[_maps.Maglev.TableSize];
        Assert.True(_maps.Maglev.TryRead(_maps.Maglev.Keys().Single(key => key.Set == set), table));
        return [.. table.Distinct().Select(Name).Order(StringComparer.Ordinal)];
    }

    private string Name(uint id) => _maps.Backends.TryLookup(id, out BackendEntry backend) ? $"{backend.Address}" : "missing";
}
