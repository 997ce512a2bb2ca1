using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>Load balancer addresses that answer pings: marked in the map, and told to steering.</summary>
public sealed class PingedAddressTests : IDisposable
{
    private static readonly IpAddr Shared = IpAddr.Parse("198.51.100.1");

    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();
    private ReconcileLoop _loop;

    public PingedAddressTests() => _loop = new ReconcileLoop(_store, _maps);

    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void They_are_marked_only_if_pings_are_answered_and_external_addresses_never()
    {
        _store.Put(Exposed("web", "10.96.0.1") with { ExternalIps = [IpAddr.Parse("192.0.2.1")] });
        _store.SourceComplete();
        _loop.SyncNow();
        Assert.Null(Mark(Shared));

        Answer(true);
        Assert.Equal(ServiceFlags.ActiveAddress | ServiceFlags.LoadBalancer, Mark(Shared)?.Flags);
        Assert.Null(Mark(IpAddr.Parse("192.0.2.1")));
        Assert.Contains(AddressMark.KeyOf(Shared), _loop.Status.ExternalFrontends);

        Answer(false);
        Assert.Null(Mark(Shared));
        Assert.DoesNotContain(AddressMark.KeyOf(Shared), _loop.Status.ExternalFrontends);
    }

    [Fact]
    public void An_address_of_a_family_that_the_service_lacks_is_no_frontend_and_not_marked()
    {
        _store.Put(Exposed("web", "fd00:10:96::1"));
        _store.SourceComplete();
        Answer(true);

        Assert.Null(Mark(Shared));
    }

    [Fact]
    public void The_mark_of_a_filtered_address_names_the_service_port_with_the_sources()
    {
        _store.Put(Exposed("web", "10.96.0.1") with { SourceRanges = [IpPrefix.Parse("203.0.113.0/29")] });
        _store.SourceComplete();
        Answer(true);

        ServiceEntry mark = Assert.NotNull(Mark(Shared));
        Assert.True(mark.Flags.HasFlag(ServiceFlags.SourceRange));
        Assert.True(_maps.IsSourceAllowed(mark.ServicePortId, IpAddr.Parse("203.0.113.7")));
        Assert.False(_maps.IsSourceAllowed(mark.ServicePortId, IpAddr.Parse("203.0.113.77")));

        _store.Put(Exposed("web", "10.96.0.1"));
        _loop.SyncNow();
        Assert.Equal(ServiceFlags.ActiveAddress | ServiceFlags.LoadBalancer, Mark(Shared)?.Flags);
    }

    [Fact]
    public void An_address_of_two_services_stays_until_the_last_of_them_is_gone_and_over_a_restart()
    {
        _store.Put(Exposed("web", "10.96.0.1"));
        _store.Put(Exposed("dns", "10.96.0.2") with { Ports = [new ServicePort("dns", IpProtocol.Udp, 53)] });
        _store.SourceComplete();
        Answer(true);

        _store.RemoveService(new ObjectName("test", "web"));
        _loop.SyncNow();
        Assert.NotNull(Mark(Shared));

        _loop.Dispose();
        var store = new ClusterStateStore("node-a");
        _loop = new ReconcileLoop(store, _maps);
        _loop.SyncNow();
        Assert.NotNull(Mark(Shared)); // nothing is listed yet
        Assert.Contains(AddressMark.KeyOf(Shared), _loop.Status.ExternalFrontends);

        store.SourceComplete();
        store.SetNetwork(new NetworkInputs { AnswersPing = true });
        _loop.SyncNow();
        Assert.Null(Mark(Shared));
        Assert.Empty(_loop.Status.ExternalFrontends);
        Assert.Equal(0, _maps.Services.Count);
    }

    private static Service Exposed(string name, string clusterIp) => Service(name, clusterIp, "http:80/TCP") with
    {
        Type = ServiceType.LoadBalancer,
        LoadBalancerIps = [Shared],
    };

    private void Answer(bool isOn)
    {
        _store.SetNetwork(new NetworkInputs { AnswersPing = isOn });
        _loop.SyncNow();
    }

    private ServiceEntry? Mark(IpAddr address) =>
        _maps.Services.TryLookup(new ServiceKey(address, 0, IpProtocol.Any, LookupScope.External, 0), out ServiceEntry entry) ? entry : null;
}
