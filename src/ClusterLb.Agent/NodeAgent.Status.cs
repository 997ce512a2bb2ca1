using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.Explain;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.Agent.KernelConntrack;
using ClusterLb.Agent.Metrics;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent;

/// <content>What the agent tells: health, status, metrics; and what can be asked of it.</content>
public sealed partial class NodeAgent : IAdminTarget
{
    async Task<AgentStatus> IAdminTarget.StatusAsync(CancellationToken cancellation)
    {
        ReconcileStatus sync = _reconciling.Status;
        AgentHealth health = Health();
        DataplaneHealth dataplane = _dataplane.Health;
        return new AgentStatus
        {
            Version = AgentRecord.ProgramVersion,
            Pid = Environment.ProcessId,
            StartedAt = _startedAt,
            NodeName = _options.NodeName,
            StateDirectory = _options.StateDirectory,
            Healthy = health.Healthy,
            NodeEligible = health.NodeEligible,
            Sync = new SyncStatus
            {
                Source = _source.Name,
                Server = _source.Status(),
                Complete = sync.IsSynced,
                LastSync = sync.LastSync,
                PendingSince = sync.PendingSince,
                Services = sync.Services,
                Backends = sync.Backends,
                LastError = SyncError(sync),
                Problems = [.. _store.Problems.Select(problem => problem.ToString())],
            },
            Dataplane = await _dataplane.StatusAsync(cancellation),
            DataplaneState = DataplaneState(),
            DataplaneStart = _dataplaneStart,
            DataplaneRestarts = dataplane.Restarts,
            Successor = dataplane.SuccessorPid,
            Steering = _steeringLoop.Status,
            Warnings = [.. NodeWarnings()],
            Maps = [.. Fill().Select(map => new MapStatus(map.Name, map.Count, map.Capacity))],
        };
    }

    SyncTraceReport IAdminTarget.SyncTrace()
    {
        IReadOnlyList<TracedChange> changes = _firstPackets.ReadTrace();
        return new SyncTraceReport { Stages = StageLatency.Of(changes), FirstListMs = _trace.FirstList?.TotalMilliseconds, Changes = changes };
    }

    BackendDecisions? IAdminTarget.Decisions(string servicePort, IpProtocol protocol, bool isIpv4) =>
        BackendDecisions.Of(_store, servicePort, protocol, isIpv4);

    Task<long> IAdminTarget.FlushAsync(FlushRequest which, CancellationToken cancellation) => _dataplane.FlushAsync(which.ToFilter(), cancellation);

    async Task<AdminAnswer> IAdminTarget.StopDataplaneAsync(CancellationToken cancellation)
    {
        await _dataplane.StopAsync(cancellation);
        return new AdminAnswer(true, "The dataplane is stopped. Packets to services wait in the device's queues, then are dropped.");
    }

    async Task<AdminAnswer> IAdminTarget.StartDataplaneAsync(CancellationToken cancellation)
    {
        DataplaneStart how = await _dataplane.EnsureRunningAsync(cancellation);
        string what = how == DataplaneStart.AlreadyRunning ? "was running already" : "is running";
        return new AdminAnswer(true, $"The dataplane {what}, process {_dataplane.Health.Pid}.");
    }

    AdminAnswer IAdminTarget.Resync()
    {
        _reconciling.RequestResync();
        _steeringLoop.Verify();
        return new AdminAnswer(true, "Maps and steering are being compared and repaired.");
    }

    private AgentHealth Health()
    {
        ReconcileStatus sync = _reconciling.Status;
        DataplaneHealth dataplane = _dataplane.Health;
        SteeringStatus steering = _steeringLoop.Status;
        var reasons = ImmutableArray.CreateBuilder<string>();
        if (!sync.IsSynced)
        {
            reasons.Add("the first sync is not complete");
        }

        if (!dataplane.Serving)
        {
            reasons.Add(DataplaneState());
        }

        if (sync.IsSynced && !steering.Installed)
        {
            reasons.Add(steering.LastError.Length > 0 ? steering.LastError : "steering is not installed yet");
        }
        else if (steering.LastError.Length > 0)
        {
            reasons.Add(steering.LastError);
        }

        DateTimeOffset now = _time.GetUtcNow();
        return new AgentHealth
        {
            Families = [.. _steeringLoop.Families.Select(name => FamilyHealth.Of(name, _store.Pending.Of(name == "IPv4"), now, _options.SyncPeriod))],
            NodeEligible = _store.Node is not { IsDraining: true },
            Reasons = reasons.ToImmutable(),
            Warnings = [.. Warnings(sync)],
        };
    }

    /// <summary>Traffic is served all the same; a server that is away takes no node out of the balancers, it would be all at once.</summary>
    private IEnumerable<string> Warnings(ReconcileStatus sync)
    {
        if (!sync.FullMaps.IsEmpty)
        {
            yield return SyncError(sync);
        }

        foreach (string warning in NodeWarnings())
        {
            yield return warning;
        }

        if (_source.Status() is { Connected: false } server)
        {
            yield return $"changes in the API server are not followed, what is known is served{(server.LastError.Length > 0 ? $": {server.LastError}" : "")}";
        }
    }

    /// <summary>About the node, whatever its services are.</summary>
    private IEnumerable<string> NodeWarnings() =>
        new[] { _steeringLoop.Status.Contested, _kernelConntrack.Problem }.Where(warning => warning.Length > 0);

    private IEnumerable<MapFill> Fill() => _maps.Fill.Concat(FlowTables.ReadFill(_options.StateDirectory)).Concat(KernelConntrackTable.ReadFill());

    private string DataplaneState()
    {
        DataplaneHealth health = _dataplane.Health;
        return health.Serving ? "" : health.Problem ?? "the dataplane is stopped, as asked";
    }

    private static string SyncError(ReconcileStatus sync) =>
        sync.LastError ?? (sync.FullMaps.IsEmpty ? "" : $"Full: {string.Join(", ", sync.FullMaps)}; {sync.IncompleteServices} services are not served completely.");

    private void ObserveMetrics()
    {
        Meter meter = _metrics.Meter;
        SyncMetrics.Observe(meter, _store.Pending, () => _reconciling.Status.NoLocalBackends, () => _reconciling.Operations);
        DataplaneMetrics.Observe(meter, () => PipelineCounters.Read(_options.StateDirectory), Fill, () => _dataplane.Health);
        KernelConntrackMetrics.Observe(meter, KernelConntrackTable.Read);
        ProcessMetrics.Observe(meter, AgentRecord.ProgramVersion);
    }
}
