using System.Diagnostics.CodeAnalysis;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.Agent.Http;
using ClusterLb.Agent.Metrics;
using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Agent;

/// <summary>The node daemon: builds all its parts in one place, starts them in order, stops them in reverse.</summary>
/// <remarks>
/// Order: lease, claims, maps (adopted), dataplane with its device (adopted or started), health, metrics and admin API, then the
/// three loops: source of objects, maps, steering, which waits for the first complete sync. Stopping leaves the dataplane serving.
/// </remarks>
public sealed partial class NodeAgent : IHostedService, IDisposable
{
    private readonly AgentOptions _options;
    private readonly IReadOnlyList<string> _warnings;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _log;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly DateTimeOffset _startedAt = TimeProvider.System.GetUtcNow();
    private readonly CancellationTokenSource _stop = new();
    private readonly Stack<Func<ValueTask>> _undo = new();
    private readonly List<Task> _loops = [];
    private Exception? _failure;
    private long _resyncsSeen; // of the reconcile loop's thread

    // Outlives all other parts: what they leave behind is removed under it.
    private StateLease? _lease;

    // Set by StartAsync, in this order; nothing reads them before.
    private NodeSteering _steering = null!;
    private SharedLbMaps _maps = null!;
    private DataplaneSupervisor _dataplane = null!;
    private ClusterStateStore _store = null!;
    private ReconcileLoop _reconciling = null!;
    private FirstPackets _firstPackets = null!;
    private SteeringLoop _steeringLoop = null!;
    private AgentMetrics _metrics = null!;
    private ObjectSource _source = null!;

    internal NodeAgent(AgentOptions options, IReadOnlyList<string> warnings, ILoggerFactory loggers, IHostApplicationLifetime lifetime)
    {
        _options = options;
        _warnings = warnings;
        _loggers = loggers;
        _lifetime = lifetime;
        _log = loggers.CreateLogger<NodeAgent>();
    }

    /// <summary>Runs the agent until <paramref name="stop"/>, SIGTERM or SIGINT.</summary>
    /// <param name="options">Free of <see cref="AgentOptions.Problems"/>.</param>
    /// <param name="warnings">Of the configuration; they go to the log.</param>
    /// <param name="stop">Asks it to end.</param>
    /// <exception cref="AgentException">It cannot start, and nothing was left behind; or a part of it failed for good.</exception>
    public static async Task RunAsync(AgentOptions options, IReadOnlyList<string> warnings, CancellationToken stop)
    {
        ArgumentNullException.ThrowIfNull(options);
        string problems = string.Join(" ", Preflight.Problems(options));
        if (problems.Length > 0)
        {
            throw new AgentException(problems);
        }

        NodeAgent? agent = null;
        using IHost host = AgentHost.Build(options, services => agent = new NodeAgent(
            options, warnings, services.GetRequiredService<ILoggerFactory>(), services.GetRequiredService<IHostApplicationLifetime>()));
        await host.RunAsync(stop);
        if (agent?._failure is { } failure)
        {
            throw new AgentException($"The agent has ended: {failure.Message}", failure);
        }
    }

    /// <summary>What <c>--init-only</c> does: the settings that only root of the machine may write, so that the agent can do with CAP_NET_ADMIN.</summary>
    /// <exception cref="AgentException">They cannot be written.</exception>
    public static void Prepare(AgentOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        try
        {
            StateDirectory.Create(options.StateDirectory);
            using StateLease lease = TakeLease(options.StateDirectory);
            var steering = new NodeSteering(options.StateDirectory, NullLogger.Instance);
            steering.Claim(options.Tun.Name, options.Steering);
            steering.PrepareKernel(options.KernelConntrack);
        }
        catch (Exception e)
        {
            throw Explain(e);
        }
    }

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        bool made = StateDirectory.Create(_options.StateDirectory);
        bool fresh = made;
        try
        {
            fresh |= AgentRecord.Load(_options.StateDirectory) is null;
            await StartPartsAsync(cancellationToken);
        }
        catch (Exception e)
        {
            await UndoAsync();
            if (fresh && e is not InUseException)
            {
                await RemoveTracesAsync(made);
            }

            _lease?.Dispose();
            throw Explain(e);
        }
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _log.LogInformation("Stopping");
        try
        {
            if (_options.Dataplane.StopWithAgent)
            {
                await _dataplane.StopAsync(CancellationToken.None);
                _log.LogInformation("Dataplane stopped, as dataplane.onStop says; service traffic is dropped until the next start");
            }
            else
            {
                _log.LogInformation("The dataplane goes on serving with the maps as they are; `clusterlb cleanup` would remove it {Pid}", _dataplane.Health.Pid);
            }
        }
        finally
        {
            await UndoAsync();
            _lease?.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() // all else goes in StopAsync, in order
    {
        _lease?.Dispose();
        _stop.Dispose();
    }

    private async Task StartPartsAsync(CancellationToken cancellation)
    {
        string directory = _options.StateDirectory;
        _lease = TakeLease(directory);
        _metrics = new AgentMetrics();
        Undo(() => _metrics.Dispose());
        _source = ObjectSource.Choose(_options, Environment.GetEnvironmentVariable, _metrics.Meter, _loggers.CreateLogger("Source"));
        Undo(() => _source.Dispose());
        foreach (string warning in _warnings)
        {
            _log.LogWarning("{Warning}", warning);
        }

        OomScore.Set(_options.OomScoreAdj, _log);
        uint? group = FindGroup();
        _steering = new NodeSteering(directory, _loggers.CreateLogger<NodeSteering>());
        _steering.Claim(_options.Tun.Name, _options.Steering);
        AgentRecord.Of(_options, _startedAt).Save(directory);

        _maps = SharedLbMaps.OpenForWriting(directory, _options.Maps, warning => _log.LogWarning("Maps: {Warning}", warning));
        Undo(() => _maps.Dispose());
        if (group is uint id)
        {
            StateDirectory.GiveTo(id, directory);
        }

        _dataplane = new DataplaneSupervisor(
            directory, _options.Tun, _options.Conntrack.Capacities, _maps, DataplaneCommand.OfThisProgram(), _loggers.CreateLogger("Dataplane"));
        _undo.Push(_dataplane.DisposeAsync);
        DataplaneStart how = await _dataplane.EnsureRunningAsync(cancellation);
        _log.LogInformation("Dataplane serving {Start} {Pid}", how.ToString(), _dataplane.Health.Pid);

        BuildLoops();
        await StartServersAsync(group, cancellation);
        StartLoops();
        _log.LogInformation("Agent started {Node} {StateDirectory} {Device}", _options.NodeName, directory, _options.Tun.Name);
    }

    private void BuildLoops()
    {
        _store = new ClusterStateStore(_options.NodeName);
        _store.ProblemFound += OnProblem;
        var periods = new ReconcileOptions { MinSyncPeriod = _options.MinSyncPeriod, SyncPeriod = _options.SyncPeriod };
        var trace = new SyncTrace(_maps.Awaited);
        trace.Written += _metrics.RecordWritten;
        trace.FirstPacketSeen += _metrics.RecordFirstPacket;
        _firstPackets = new FirstPackets(trace, _maps.OpenArrivalsDescriptor(readOnly: true));
        Undo(() => _firstPackets.Dispose());
        _reconciling = new ReconcileLoop(_store, _maps, periods, trace: trace);
        Undo(() => _reconciling.Dispose());
        _steeringLoop = new SteeringLoop(_options, _store, _steering, _metrics, _loggers.CreateLogger<NodeSteering>());
        Undo(() => _steeringLoop.Dispose());
        _steeringLoop.ReadNetwork();

        _reconciling.Completed += OnSynced;
        _store.Changed += _steeringLoop.OnStoreChanged;
        _dataplane.DeviceRecreated += _steeringLoop.Verify;
        var watch = new NodeNetworkWatch(_options.Steering, _steeringLoop.OnNetworkChanged, _steeringLoop.Verify);
        Undo(() => watch.Dispose());
    }

    private void StartLoops()
    {
        _undo.Push(async () =>
        {
            await _stop.CancelAsync();
            await Task.WhenAll(_loops);
        });
        Run("source", token => _source.RunAsync(_store, token));
        Run("maps", _reconciling.RunAsync);
        Run("first packets", _firstPackets.RunAsync);
        Run("steering", _steeringLoop.RunAsync);
    }

    private async Task StartServersAsync(uint? group, CancellationToken cancellation)
    {
        var admin = new AdminServer(_options.StateDirectory, group, this, _loggers.CreateLogger<AdminServer>());
        _undo.Push(admin.DisposeAsync);
        await admin.StartAsync(cancellation);
        if (_options.HealthzBindAddress is { } healthAddress)
        {
            var handler = new HealthHandler(Health, _metrics, _time);
            await StartServerAsync(new HttpEndpoint(healthAddress, handler.HandleAsync, _loggers.CreateLogger("Health")), cancellation);
        }

        if (_options.MetricsBindAddress is { } metricsAddress)
        {
            ObserveMetrics();
            var text = new PrometheusText(_metrics.Meter);
            Undo(() => text.Dispose());
            await StartServerAsync(new HttpEndpoint(metricsAddress, new MetricsHandler(text).HandleAsync, _loggers.CreateLogger("Metrics")), cancellation);
        }
    }

    private async Task StartServerAsync(HttpEndpoint server, CancellationToken cancellation)
    {
        _undo.Push(server.DisposeAsync);
        await (_options.BindAddressHardFail ? server.StartAsync(cancellation) : server.StartOrRetryAsync(cancellation));
    }

    private void OnProblem(ObjectProblem problem)
    {
        _log.LogWarning("Not served {Problem}", problem.ToString());
        if (problem is { Kind: ObjectReader.ServiceKind or ObjectReader.SliceKind or ObjectReader.NodeKind, Name.Name: not (null or "" or "?") })
        {
            string field = problem.Field.Length == 0 ? "" : problem.Field + ": ";
            _source.Events.Warn(problem.Kind, problem.Name, "NotServed", field + problem.Reason);
        }
    }

    private void OnSynced(ReconcileStatus status)
    {
        _maps.Reclaim();
        if (status.Resyncs != _resyncsSeen)
        {
            _resyncsSeen = status.Resyncs;
            Trim(isFirst: status.Resyncs == 1);
        }

        _metrics.RecordSync(status.LastDuration);
        _steeringLoop.OnSynced(status);
        if (status.LastError is { } error)
        {
            _log.LogError("Sync failed, will try again {Reason}", error);
        }
        else if (!status.FullMaps.IsEmpty)
        {
            _log.LogError("Maps are full, some services are not served completely {Maps} {Services}", status.FullMaps, status.IncompleteServices);
            _source.Events.Warn(ObjectReader.NodeKind, new ObjectName("", _options.NodeName), "MapFull",
                $"No room in {string.Join(", ", status.FullMaps)}: some services are not served completely on this node. Raise maps in ClusterLbConfiguration.");
        }
        else
        {
            _log.LogDebug("SyncProxyRules complete {Elapsed} {Services} {Backends}", status.LastDuration, status.Services, status.Backends);
        }
    }

    /// <summary>Gives back what only a look at everything needed: page tables of the maps, and once the garbage of the first list.</summary>
    private void Trim(bool isFirst)
    {
        _maps.ForgetPages();
        if (isFirst)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A loop that ended cannot be mended here: the agent ends, and its service manager starts it again.")]
    private void Run(string name, Func<CancellationToken, Task> loop) => _loops.Add(Task.Run(async () =>
    {
        try
        {
            await loop(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            _failure = e;
            _log.LogCritical(e, "A part of the agent failed, ending {Part}", name);
            _lifetime.StopApplication();
        }
    }));

    private void Undo(Action step) => _undo.Push(() =>
    {
        step();
        return ValueTask.CompletedTask;
    });

    private async Task UndoAsync()
    {
        while (_undo.TryPop(out Func<ValueTask>? step))
        {
            await step();
        }
    }

    // A start that failed in a fresh state directory leaves nothing; in an old one it leaves what an earlier agent serves with.
    private async Task RemoveTracesAsync(bool made)
    {
        try
        {
            await NodeCleanup.RemoveAsync(_options.StateDirectory, new NodeSteering(_options.StateDirectory, _log), _log, _ => { });
        }
        catch (AgentException e)
        {
            _log.LogError("Not everything could be removed after the failed start {Reason}", e.Message);
        }

        if (!made)
        {
            Directory.CreateDirectory(_options.StateDirectory);
        }
    }

    private static StateLease TakeLease(string directory)
    {
        try
        {
            return StateLease.TakeForAgent(directory);
        }
        catch (IOException e)
        {
            throw new InUseException(e.Message, e);
        }
    }

    private uint? FindGroup() => _options.AdminGroup is not { } name ? null
        : AdminInterop.FindGroup(name) ?? throw new AgentException($"admin.group is '{name}', but there is no such group in /etc/group.");

    private static Exception Explain(Exception e) =>
        e is InUseException or SteeringException or NetlinkException or TunException or MapFileException or DataplaneException or ControlSocketException or IOException
            ? new AgentException(e.Message, e)
            : e;

    private sealed class InUseException(string message, Exception inner) : Exception(message, inner);
}
