using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Services, EndpointSlices, this Node and ServiceCIDRs from a Kubernetes API server.</summary>
/// <remarks>Thread-safe but for <see cref="RunAsync"/>, which runs once.</remarks>
public sealed class ApiServerSource : IObjectSource, IDisposable
{
    private readonly ApiConnection _connection;
    private readonly ApiClient _client;
    private readonly ApiTimes _times;
    private readonly TimeProvider _time;
    private readonly EventRecorder _events;
    private readonly Lock _lock = new();
    private Reflector[] _reflectors = [];
    private bool _connected;
    private DateTimeOffset _since;

    /// <summary>A source that has not asked anything yet.</summary>
    public ApiServerSource(ApiConnection connection, RestClientMetrics? metrics = null)
        : this(connection, new ApiTimes(), metrics)
    {
    }

    internal ApiServerSource(ApiConnection connection, ApiTimes times, RestClientMetrics? metrics = null, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(connection);
        _connection = connection;
        _times = times;
        _time = time ?? TimeProvider.System;
        _client = new ApiClient(connection, times, metrics);
        _events = new EventRecorder(_client, _time);
        _since = _time.GetUtcNow();
    }

    /// <summary>Raised when one resource begins or ceases to work, or fails for another reason. Handlers must be quick.</summary>
    public event Action<ApiResourceStatus>? Changed;

    /// <summary>Writes Events to this server, while <see cref="RunAsync"/> runs.</summary>
    public IEventSink Events => _events;

    /// <summary>How it stands.</summary>
    public ApiServerStatus Status
    {
        get
        {
            lock (_lock)
            {
                ApiResourceStatus[] resources = [.. _reflectors.Select(r => r.Status)];
                IEnumerable<string> errors = resources.Where(r => r.State != ApiWatchState.NotOffered).Select(r => r.LastError);
                return new ApiServerStatus(
                    _client.Server, _connection.Origin, _connected, _since,
                    string.Join("; ", errors.Append(_events.LastError).Where(e => e.Length > 0).Select(e => e.TrimEnd('.')).Distinct(StringComparer.Ordinal)),
                    [.. resources])
                {
                    DroppedEvents = _events.Dropped,
                };
            }
        }
    }

    /// <inheritdoc/>
    public async Task RunAsync(ClusterStateStore store, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(store);
        StoreTarget[] targets =
            [.. new[] { ApiResource.Services, ApiResource.Slices, ApiResource.Node(store.NodeName) }.Select(r => new StoreTarget(store, r))];
        Reflector services = Follow(targets[0].Resource, targets[0]);
        Reflector slices = Follow(targets[1].Resource, targets[1]);
        Reflector nodes = Follow(targets[2].Resource, targets[2]);
        Reflector ranges = Follow(ApiResource.ServiceCidrs, new ServiceCidrTarget(store));
        lock (_lock)
        {
            _reflectors = [services, slices, nodes, ranges];
        }

        // One that dies ends all: a node that follows only some resources would serve what is long gone, and look well.
        using var all = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await Task.WhenAll([.. _reflectors.Select(r => EndAllAsync(r.RunAsync(all.Token))), EndAllAsync(_events.RunAsync(store.NodeName, UidOf, all.Token)), CompleteAsync()]);

        Guid? UidOf(string kind, ObjectName name) => targets.FirstOrDefault(t => t.Resource.Kind == kind)?.UidOf(name);

        async Task EndAllAsync(Task one)
        {
            try
            {
                await one;
            }
            catch
            {
                await all.CancelAsync();
                throw;
            }
        }

        async Task CompleteAsync()
        {
            // Without the ranges it works too, so nothing waits for them longer than for an answer.
            await Task.WhenAll(services.Listed, slices.Listed, nodes.Listed, ranges.Settled).WaitAsync(all.Token).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
            if (!all.IsCancellationRequested)
            {
                store.SourceComplete();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private Reflector Follow(ApiResource resource, IReflectorTarget target)
    {
        var reflector = new Reflector(_client, resource, target, _times, _time, Random.Shared);
        reflector.Changed += OnChanged;
        return reflector;
    }

    private void OnChanged(ApiResourceStatus status)
    {
        lock (_lock)
        {
            bool connected = _reflectors.Length > 0
                && _reflectors.All(r => !r.Resource.IsNeeded || r.Status.State == ApiWatchState.Watching);
            if (connected != _connected)
            {
                _connected = connected;
                _since = _time.GetUtcNow();
            }
        }

        Changed?.Invoke(status);
    }
}
