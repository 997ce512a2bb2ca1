using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.Doctor;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.Agent.Http;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Agent.Logging;
using ClusterLb.Agent.Metrics;
using ClusterLb.Agent.Network;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
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
    // After TERM a part has this long to end; whoever started the agent kills it before long.
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private readonly AgentOptions _options;
    private readonly IReadOnlyList<string> _warnings;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _log;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly DateTimeOffset _startedAt = TimeProvider.System.GetUtcNow();
    private readonly Stack<Func<ValueTask>> _undo = new();
    private readonly AgentLoops _loops;
    private readonly KlogProvider _klog;
    private Exception? _failure;
    private bool _isStuck; // a loop did not end: nothing that it may use is taken away, the process ends with it

    // Outlives all other parts: what they leave behind is removed under it.
    private StateLease? _lease;

    // Set by StartAsync, in this order; nothing reads them before.
    private NodeSteering _steering = null!;
    private SharedLbMaps _maps = null!;
    private DataplaneSupervisor _dataplane = null!;
    private DataplaneStart _dataplaneStart;
    private ClusterStateStore _store = null!;
    private ReconcileLoop _reconciling = null!;
    private SyncTrace _trace = null!;
    private FirstPackets _firstPackets = null!;
    private SteeringLoop _steeringLoop = null!;
    private KernelConntrackWatch _kernelConntrack = null!;
    private AgentMetrics _metrics = null!;
    private HealthCheckNodePorts _healthPorts = null!;
    private ObjectSource _source = null!;

    internal NodeAgent(AgentOptions options, IReadOnlyList<string> warnings, KlogProvider klog, ILoggerFactory loggers, IHostApplicationLifetime lifetime)
    {
        _options = options;
        _warnings = warnings;
        _loggers = loggers;
        _lifetime = lifetime;
        _klog = klog;
        _log = loggers.CreateLogger<NodeAgent>();
        _loops = new AgentLoops(OnLoopFailed);
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
        using var klog = new KlogProvider(Console.Error, options.Verbosity, options.LogFormat);
        using IHost host = AgentHost.Build(klog, services => agent = new NodeAgent(
            options, warnings, klog, services.GetRequiredService<ILoggerFactory>(), services.GetRequiredService<IHostApplicationLifetime>()));
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
            fresh |= AgentRecord.LoadOrSetAside(_options.StateDirectory, problem => _log.LogWarning("{Problem}", problem)) is null;
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
            Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() // all else goes in StopAsync, in order
    {
        if (!_isStuck)
        {
            _lease?.Dispose();
            _loops.Dispose();
        }
    }

    private async Task StartPartsAsync(CancellationToken cancellation)
    {
        uint? group;
        int usual = NiceInterop.Own;
        if (!StateLease.IsTaken(_options.StateDirectory, StateLease.DataplaneFileName))
        {
            ProcessPriority.SetOwn(_options.Dataplane.Nice); // no dataplane runs: packets may wait
        }

        try
        {
            group = await StartServingAsync(cancellation);
        }
        finally
        {
            ProcessPriority.SetOwn(usual);
        }

        Task<long> rehearsal = Task.Run(Rehearsal.Run, cancellation);
        BuildLoops();
        await StartServersAsync(group, cancellation);
        await rehearsal;
        StartLoops();
        _log.LogInformation("Agent started {Node} {StateDirectory} {Device}", _options.NodeName, _options.StateDirectory, _options.Tun.Name);
    }

    /// <summary>Up to a dataplane that serves what the maps hold.</summary>
    /// <returns>The group that may ask the agent; null for none.</returns>
    private async Task<uint?> StartServingAsync(CancellationToken cancellation)
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

        uint? group = FindGroup();
        _steering = new NodeSteering(directory, _loggers.CreateLogger<NodeSteering>());
        _steering.Claim(_options.Tun.Name, _options.Steering);
        if (_steering.HasTakenOver && LostProcesses.FindAgent(directory) is { } other)
        {
            throw new InUseException($"An agent (process {other}) runs, though its state directory '{directory}' was removed. Stop it first.");
        }

        AgentRecord.Of(_options, _startedAt).Save(directory);
        OomScore.Set(_options.OomScoreAdj, _log); // what refuses to start says only why; the dataplane inherits it

        _maps = SharedLbMaps.OpenForWriting(directory, _options.Maps, warning => _log.LogWarning("Maps were not as this agent needs them {Warning}", warning));
        Undo(() => _maps.Dispose());
        if (group is uint id)
        {
            StateDirectory.GiveTo(id, directory);
        }

        _dataplane = new DataplaneSupervisor(
            directory, _options.Tun, _options.Conntrack.Capacities, _maps, DataplaneCommand.OfThisProgram(), _options.Dataplane, _loggers.CreateLogger("Dataplane"));
        _undo.Push(_dataplane.DisposeAsync);
        _dataplaneStart = await _dataplane.EnsureRunningAsync(cancellation);
        _log.LogInformation("Dataplane serving {Start} {Pid}", _dataplaneStart.ToString(), _dataplane.Health.Pid);
        return group;
    }

    private void BuildLoops()
    {
        _store = new ClusterStateStore(_options.NodeName);
        _store.ProblemFound += OnProblem;
        var periods = new ReconcileOptions
        {
            MinSyncPeriod = _options.MinSyncPeriod,
            SyncPeriod = _options.SyncPeriod,
            ConfigSyncPeriod = _options.ConfigSyncPeriod,
            Selection = _options.Selection,
        };
        SyncTrace trace = _trace = new SyncTrace(_maps.Awaited);
        trace.Written += _metrics.RecordWritten;
        trace.FirstPacketSeen += _metrics.RecordFirstPacket;
        _firstPackets = new FirstPackets(trace, _maps.OpenArrivalsDescriptor(readOnly: true));
        Undo(() => _firstPackets.Dispose());
        _reconciling = new ReconcileLoop(_store, _maps, periods, trace: trace);
        Undo(() => _reconciling.Dispose());
        _steeringLoop = new SteeringLoop(_options, _store, _steering, _metrics, _loggers.CreateLogger<NodeSteering>());
        Undo(() => _steeringLoop.Dispose());
        _steeringLoop.ReadNetwork();

        _healthPorts = new HealthCheckNodePorts(_options.NodeName, _source.Events, () => Health().Healthy, _loggers.CreateLogger("Healthcheck"));
        _undo.Push(_healthPorts.DisposeAsync);
        _reconciling.Starting += OnSyncing;
        _reconciling.Completed += OnSynced;
        _reconciling.TopologyDecided += OnTopologyDecided;
        _reconciling.ExternalIpsSeen += OnExternalIpsSeen;
        _store.Changed += _steeringLoop.OnStoreChanged;
        _dataplane.DeviceRecreated += _steeringLoop.Verify;
        _kernelConntrack = new KernelConntrackWatch(_options.NodeName, KernelConntrackTable.Read, _source.Events, _log, _time);
        _steeringLoop.Contested += reason => _source.Events.Warn(ObjectReader.NodeKind, new ObjectName("", _options.NodeName), "SteeringContested", reason);
        var watch = new NodeNetworkWatch(
            _options.Steering, _steeringLoop.OnNetworkChanged, _steeringLoop.Verify, _steeringLoop.OnLost, _options.DetectsByInterface);
        Undo(() => watch.Dispose());
        var nft = new NftWatch(NftRuleset.Table, _steeringLoop.OnNftTouched, _options.Steering.AcceptForwarding ? _steeringLoop.Verify : () => { });
        Undo(() => nft.Dispose());
    }

    private void StartLoops()
    {
        _undo.Push(StopLoopsAsync);
        _loops.Run("source", token => _source.RunAsync(_store, token));
        _loops.Run("maps", _reconciling.RunAsync);
        _loops.Run("first packets", _firstPackets.RunAsync);
        _loops.Run("steering", _steeringLoop.RunAsync);
        _loops.Run("health check node ports", _healthPorts.RunAsync);
        _loops.Run("doctor", TellOfNodeAsync);
        _loops.Run("kernel conntrack", _kernelConntrack.RunAsync);
        _loops.Run("full tables", token => new FullTableWatch(_source.Events, _options.NodeName, _log)
            .RunAsync(() => PipelineCounters.Read(_options.StateDirectory), _time, token));
        _loops.Run("health", new HealthWatch(_options.NodeName, Health, _source.Events, _log, _time).RunAsync);
    }

    private async Task TellOfNodeAsync(CancellationToken cancellation)
    {
        await _steeringLoop.Installed.WaitAsync(cancellation);
        ILogger log = _loggers.CreateLogger("Doctor");
        try
        {
            await NodeDoctor.TellAsync(_options.StateDirectory, log, cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            log.LogWarning("The node could not be examined {Reason}", e.Message); // it serves all the same
        }
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
            var handler = new ComponentHandler(text, _options, _startedAt, _options.EnableProfiling ? new DebugHandler(_klog) : null, _time);
            await StartServerAsync(new HttpEndpoint(metricsAddress, handler.HandleAsync, _loggers.CreateLogger("Metrics")), cancellation);
        }
    }

    private async Task StartServerAsync(HttpEndpoint server, CancellationToken cancellation)
    {
        _undo.Push(server.DisposeAsync);
        await (_options.BindAddressHardFail ? server.StartAsync(cancellation) : server.StartOrRetryAsync(cancellation));
    }

    private void OnLoopFailed(string name, Exception e)
    {
        _failure = e;
        _log.LogCritical(e, "A part of the agent failed, ending {Part}", name);
        _lifetime.StopApplication();
    }

    private async ValueTask StopLoopsAsync()
    {
        IReadOnlyList<string> stuck = await _loops.StopAsync(StopPatience);
        if (stuck.Count > 0)
        {
            _isStuck = true;
            _log.LogError("Not everything ended in time; the process ends with it {Parts}", stuck);
        }
    }

    private void Undo(Action step) => _undo.Push(() =>
    {
        step();
        return ValueTask.CompletedTask;
    });

    private async Task UndoAsync()
    {
        while (!_isStuck && _undo.TryPop(out Func<ValueTask>? step))
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

    private sealed class InUseException(string message, Exception? inner = null) : Exception(message, inner);
}
