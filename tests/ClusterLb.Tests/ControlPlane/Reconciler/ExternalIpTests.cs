using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>Addresses that anyone who writes Services may take (CVE-2020-8554): told, and turned off.</summary>
public sealed class ExternalIpTests : IDisposable
{
    private static readonly IpAddr First = IpAddr.Parse("192.0.2.1");
    private static readonly IpAddr Second = IpAddr.Parse("192.0.2.2");

    private readonly ClusterStateStore _store = new("node-a");
    private readonly DictionaryLbMaps _maps = new();
    private readonly ReconcileLoop _loop;
    private readonly List<string> _told = [];

    public ExternalIpTests()
    {
        _loop = new ReconcileLoop(_store, _maps);
        _loop.ExternalIpsSeen += (service, addresses) => _told.Add($"{service} {string.Join(',', addresses)}");
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1")));
        _store.SourceComplete();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }

    [Fact]
    public void A_service_is_told_once_and_again_when_its_addresses_change_or_it_is_a_new_one()
    {
        Put(First);
        _store.Put(Slice("web", "1", "http:8080/TCP", Ready("10.244.1.1"), Ready("10.244.1.2")));
        _loop.SyncNow();
        _loop.ResyncNow();
        Assert.Equal(["test/web 192.0.2.1"], _told);

        Put(First, Second);
        Put();
        Put(First);
        Assert.Equal(["test/web 192.0.2.1", "test/web 192.0.2.1,192.0.2.2", "test/web 192.0.2.1"], _told);

        _store.RemoveService(new ObjectName("test", "web"));
        _loop.SyncNow();
        Put(First);
        Assert.Equal(4, _told.Count);
    }

    [Fact]
    public void They_are_no_frontends_while_they_are_turned_off_and_are_told_all_the_same()
    {
        _store.SetNetwork(new NetworkInputs { ServesExternalIps = false });
        Put(First);
        Assert.False(IsServed(First));
        Assert.True(IsServed(IpAddr.Parse("10.96.0.1")));
        Assert.Empty(_loop.Status.ExternalFrontends);
        Assert.Single(_told);

        _store.SetNetwork(new NetworkInputs());
        _loop.SyncNow();
        Assert.True(IsServed(First));
        Assert.Contains(new FrontendKey(First, 80, IpProtocol.Tcp), _loop.Status.ExternalFrontends);

        _store.SetNetwork(new NetworkInputs { ServesExternalIps = false });
        _loop.SyncNow();
        Assert.False(IsServed(First));
    }

    private void Put(params IpAddr[] externalIps)
    {
        _store.Put(Service("web", "10.96.0.1", "http:80/TCP") with { ExternalIps = [.. externalIps] });
        _loop.SyncNow();
    }

    private bool IsServed(IpAddr address) => _maps.Services.TryLookup(new ServiceKey(address, 80, IpProtocol.Tcp, LookupScope.External, 0), out _);
}
