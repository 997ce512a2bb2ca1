using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>A service whose endpoints are replaced: what its EndpointSlices say of them, and the servers behind them. One thread.</summary>
internal sealed class Rollout(RolloutLabFixture fixture) : IDisposable
{
    private readonly Dictionary<int, EchoServer> _servers = [];
    private readonly List<int> _listed = [];
    private readonly HashSet<int> _notReady = [];
    private readonly HashSet<int> _terminating = [];
    private readonly SharedLbMaps[] _nodes = [.. fixture.Lab.Agents.Select(agent => SharedLbMaps.OpenForReading(agent.StateDirectory))];

    /// <summary>By its ClusterIP: HTTP, and echo by TCP and UDP.</summary>
    public LabService Service { get; } =
        new("rolling", 50, fixture.Topology.Service("web").Ports, []) { EndpointsPerSlice = 100 }; // as the API server fills them

    /// <summary>Its server begins to listen.</summary>
    public void Start(int endpoint)
    {
        _servers.Add(endpoint, fixture.ServerOf(endpoint));
        _servers[endpoint].Start();
    }

    /// <summary>Its server listens no more: whoever dials it from now on is refused.</summary>
    public void End(int endpoint)
    {
        _servers.Remove(endpoint, out EchoServer? server);
        server!.Dispose();
    }

    /// <summary>Its pod has an address, but its readiness probe has not succeeded yet: ready and serving are false.</summary>
    public void SayNotReady(int endpoint)
    {
        _listed.Add(endpoint);
        _notReady.Add(endpoint);
    }

    /// <summary>Its readiness probe has succeeded.</summary>
    public void SayReady(int endpoint) => _notReady.Remove(endpoint);

    /// <summary>Its pod is being deleted, and its probe still succeeds: not ready, serving, terminating.</summary>
    public void SayTerminating(int endpoint) => _terminating.Add(endpoint);

    /// <summary>Its pod is gone.</summary>
    public void SayGone(int endpoint)
    {
        _listed.Remove(endpoint);
        _terminating.Remove(endpoint);
    }

    /// <summary>Writes what was said, and waits until all nodes go by it.</summary>
    public async Task PublishAsync()
    {
        fixture.Lab.Manifests.Apply(Service with
        {
            Backends = [.. _listed.Select(fixture.Endpoint)],
            NotReady = [.. _notReady.Select(fixture.Endpoint)],
            Terminating = [.. _terminating.Select(fixture.Endpoint)],
        });
        await Eventually.IsAsync("all nodes know the endpoints", () => _nodes.All(IsUpToDate));
    }

    public void Dispose()
    {
        foreach (int endpoint in _servers.Keys.ToArray())
        {
            End(endpoint);
        }

        Array.ForEach(_nodes, node => node.Dispose());
        fixture.Lab.Manifests.Remove(Service);
    }

    private bool IsUpToDate(SharedLbMaps node)
    {
        ILookup<uint, uint> serving = node.Serving.Entries().ToLookup(entry => entry.Key.ServicePortId, entry => entry.Key.BackendId);
        foreach (bool ipv6 in (bool[])[false, true])
        {
            HashSet<IpAddr> shallServe = AddressesOf(_listed.Except(_notReady), ipv6);
            HashSet<IpAddr> shallBeChosen = AddressesOf(_listed.Except(_notReady).Except(_terminating), ipv6);
            foreach (LabServicePort port in Service.Ports)
            {
                var key = new ServiceKey(
                    Service.ClusterIp(ipv6), (ushort)port.Port, port.Protocol == "UDP" ? IpProtocol.Udp : IpProtocol.Tcp, LookupScope.External, 0);
                if (!node.Services.TryLookup(key, out ServiceEntry head)
                    || !shallServe.SetEquals(AddressesOf(node, serving[head.ServicePortId]))
                    || !shallBeChosen.SetEquals(AddressesOf(node, SlotsOf(node, key, head.Count))))
                {
                    return false;
                }
            }
        }

        return true;
    }

    private HashSet<IpAddr> AddressesOf(IEnumerable<int> endpoints, bool ipv6) =>
        [.. endpoints.Select(fixture.Endpoint).Select(endpoint => ipv6 ? endpoint.Ipv6 : endpoint.Ipv4)];

    private static IEnumerable<uint> SlotsOf(SharedLbMaps node, ServiceKey key, uint count)
    {
        for (uint slot = 1; slot <= count; slot++)
        {
            yield return node.Services.TryLookup(key with { Slot = slot }, out ServiceEntry entry) ? entry.BackendId : 0; // 0 is nobody's
        }
    }

    private static IEnumerable<IpAddr> AddressesOf(SharedLbMaps node, IEnumerable<uint> backends) =>
        backends.Select(id => node.Backends.TryLookup(id, out BackendEntry backend) ? backend.Address : default);
}
