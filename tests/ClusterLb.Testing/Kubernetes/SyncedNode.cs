using System.Globalization;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>One node's whole control path in this process: API server → store → compiler → maps in shared memory. No packets.</summary>
public sealed class SyncedNode : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly string _folder;
    private readonly SharedLbMaps _maps;
    private readonly ReconcileLoop _loop;
    private readonly ApiServerSource _source;
    private readonly List<string> _history = [];
    private readonly Task _running;

    private SyncedNode(string folder, string node, ApiConnection connection, ApiTimes times, LbMapCapacities capacities)
    {
        _folder = folder;
        _maps = SharedLbMaps.OpenForWriting(folder, capacities, warning => throw new InvalidOperationException(warning));
        Store = new ClusterStateStore(node);
        Store.SetNetwork(new NetworkInputs());
        _loop = new ReconcileLoop(Store, _maps, new ReconcileOptions { MinSyncPeriod = TimeSpan.FromMilliseconds(10) });
        _source = new ApiServerSource(connection, times);
        _source.Changed += status =>
        {
            lock (_history)
            {
                _history.Add($"{status.Resource} {status.State} {status.LastError}".TrimEnd());
            }
        };
        _running = Task.WhenAll(Task.Run(() => _source.RunAsync(Store, _stop.Token)), Task.Run(() => _loop.RunAsync(_stop.Token)));
    }

    public ClusterStateStore Store { get; }

    /// <summary>Every change of a watch's state, oldest first.</summary>
    public IReadOnlyList<string> History
    {
        get
        {
            lock (_history)
            {
                return [.. _history];
            }
        }
    }

    public ApiServerStatus Server => _source.Status;

    public ReconcileStatus Sync => _loop.Status;

    /// <summary>What a packet would trip over.</summary>
    public IReadOnlyList<string> Faults => [.. MapReader.Faults(_maps)];

    /// <summary>Starts it.</summary>
    /// <param name="node">The name of its Node object.</param>
    /// <param name="kubeconfig">How to reach the server.</param>
    /// <param name="patient">False: silence and failures are noticed within a second, as no operator would want it.</param>
    /// <param name="capacities">Sizes of the maps; null: small ones.</param>
    public static SyncedNode Start(string node, string kubeconfig, bool patient = false, LbMapCapacities? capacities = null)
    {
        string folder = MemoryFolder.Create("clusterlb-node-");
        var impatient = new ApiTimes
        {
            Ping = TimeSpan.FromSeconds(1), // the least that SocketsHttpHandler takes
            PingAnswer = TimeSpan.FromSeconds(1),
            Silence = TimeSpan.FromSeconds(2),
            Answer = TimeSpan.FromSeconds(3),
            MinBackoff = TimeSpan.FromMilliseconds(50),
            MaxBackoff = TimeSpan.FromMilliseconds(500),
        };
        ApiConnection connection = ControlPlane.Kubernetes.Api.Kubeconfig.Parse(kubeconfig, Path.Combine(folder, "kubeconfig"));
        return new SyncedNode(folder, node, connection, patient ? new ApiTimes() : impatient, capacities ?? LbMapCapacities.Small);
    }

    /// <summary>The backends of a frontend as ADDRESS:PORT, sorted; null if the maps do not have the frontend.</summary>
    public IReadOnlyList<string>? BackendsOf(string address, ushort port, IpProtocol protocol = IpProtocol.Tcp)
    {
        var key = new ServiceKey(IpAddr.Parse(address), port, protocol, LookupScope.External, 0);
        if (!_maps.Services.TryLookup(key, out ServiceEntry head))
        {
            return null;
        }

        var backends = new List<string>();
        for (uint slot = 1; slot <= head.Count; slot++)
        {
            if (_maps.Services.TryLookup(key with { Slot = slot }, out ServiceEntry entry) && _maps.Backends.TryLookup(entry.BackendId, out BackendEntry backend))
            {
                backends.Add(string.Create(CultureInfo.InvariantCulture, $"{backend.Address}:{backend.Port}"));
            }
        }

        return [.. backends.Order(StringComparer.Ordinal)];
    }

    /// <summary>How many frontends and backends the maps hold.</summary>
    public (int Frontends, int Backends) Counts => (_maps.ReverseNat.Count, _maps.Backends.Count);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
            // as asked
        }

        _loop.Dispose();
        _source.Dispose();
        _maps.Dispose();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
