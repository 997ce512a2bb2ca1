using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.DataplaneChild;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Agent;

/// <content>What the agent tells: health, status, metrics; and what can be asked of it.</content>
public sealed partial class NodeAgent : IAdminTarget
{
    async Task<AgentStatus> IAdminTarget.StatusAsync(CancellationToken cancellation)
    {
        ReconcileStatus sync = _reconciling.Status;
        return new AgentStatus
        {
            Version = AgentRecord.ProgramVersion,
            Pid = Environment.ProcessId,
            StartedAt = _startedAt,
            NodeName = _options.NodeName,
            StateDirectory = _options.StateDirectory,
            Healthy = Health().Healthy,
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
            Steering = _steeringLoop.Status,
            Maps = [.. MapFill()],
        };
    }

    SyncTraceReport IAdminTarget.SyncTrace()
    {
        IReadOnlyList<TracedChange> changes = _firstPackets.ReadTrace();
        return new SyncTraceReport { Stages = StageLatency.Of(changes), Changes = changes };
    }

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

        // kube-proxy's measure: the oldest change has waited for two periods.
        if (sync.PendingSince is { } since && _time.GetUtcNow() - since >= 2 * _options.SyncPeriod)
        {
            reasons.Add($"changes wait since {since.UtcDateTime:HH:mm:ss}: {sync.LastError ?? "the sync is late"}");
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

        return new AgentHealth
        {
            Families = _steeringLoop.Families,
            LastUpdated = sync.LastSync,
            NodeEligible = _store.Node is not { IsDraining: true },
            Reasons = reasons.ToImmutable(),
        };
    }

    private string DataplaneState()
    {
        DataplaneHealth health = _dataplane.Health;
        return health.Serving ? "" : health.Problem ?? "the dataplane is stopped, as asked";
    }

    private static string SyncError(ReconcileStatus sync) =>
        sync.LastError ?? (sync.FullMaps.IsEmpty ? "" : $"Full: {string.Join(", ", sync.FullMaps)}; {sync.IncompleteServices} services are not served completely.");

    private IEnumerable<MapStatus> MapFill()
    {
        yield return new MapStatus(_maps.Services.Name, _maps.Services.Count, _maps.Services.Capacity);
        yield return new MapStatus(_maps.Backends.Name, _maps.Backends.Count, _maps.Backends.Capacity);
        yield return new MapStatus(_maps.ReverseNat.Name, _maps.ReverseNat.Count, _maps.ReverseNat.Capacity);
        yield return new MapStatus(_maps.Serving.Name, _maps.Serving.Count, _maps.Serving.Capacity);
        yield return new MapStatus(_maps.Eligible.Name, _maps.Eligible.Count, _maps.Eligible.Capacity);
        yield return new MapStatus(_maps.ServicePorts.Name, _maps.ServicePorts.Count, _maps.ServicePorts.Capacity);
        yield return new MapStatus(_maps.Networks.Name, _maps.Networks.Count, _maps.Networks.Capacity);
        yield return new MapStatus(_maps.SourceRanges.Name, _maps.SourceRanges.Count, _maps.SourceRanges.Capacity);
    }

    // Cilium's names with our prefix, so that dashboards translate; kube-proxy's where it has them.
    private void ObserveMetrics()
    {
        Meter meter = _metrics.Meter;
        string directory = _options.StateDirectory;
        meter.CreateObservableCounter("clusterlb_drop_count_total", () => Drops(PipelineCounters.Read(directory)), null,
            "Packets dropped or rejected, by reason.");
        meter.CreateObservableCounter("clusterlb_forward_count_total", () => (long)PipelineCounters.Read(directory).Packets(Verdict.Forward), null,
            "Packets translated and forwarded.");
        meter.CreateObservableCounter("clusterlb_forward_bytes_total", () => (long)PipelineCounters.Read(directory).Bytes(Verdict.Forward), null,
            "Bytes of packets translated and forwarded, IP headers included.");
        meter.CreateObservableCounter("clusterlb_new_flows_total", () => (long)PipelineCounters.Read(directory).NewFlows, null, "Flows begun.");
        meter.CreateObservableGauge("clusterlb_bpf_map_pressure", () => MapFill().Select(map => Labelled((double)map.Count / map.Capacity, "map_name", map.Name)),
            null, "Fill of each map, from 0 to 1.");
        meter.CreateObservableGauge("clusterlb_bpf_map_capacity", () => MapFill().Select(map => Labelled((long)map.Capacity, "map_name", map.Name)),
            null, "Entries that fit into each map.");
        meter.CreateObservableGauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds", () => Seconds(_reconciling.Status.LastSync), "s",
            "When the last sync ended.");
        meter.CreateObservableGauge("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", () => Seconds(_reconciling.Status.PendingSince), "s",
            "When the oldest change came that is not applied yet; 0 if all are.");
        meter.CreateObservableCounter("clusterlb_dataplane_restarts_total", () => (long)_dataplane.Health.Restarts, null,
            "Dataplanes started because one had died.");
        meter.CreateObservableGauge("clusterlb_dataplane_serving", () => _dataplane.Health.Serving ? 1L : 0L, null,
            "1 while the dataplane's workers show signs of life.");
    }

    private static IEnumerable<Measurement<long>> Drops(PipelineCounters counters) =>
        Enum.GetValues<DropReason>().Where(reason => reason != DropReason.None)
            .Select(reason => Labelled((long)counters.Drops(reason), "reason", reason.ToString()));

    private static double Seconds(DateTimeOffset? time) => time?.ToUnixTimeMilliseconds() / 1000.0 ?? 0;

    private static Measurement<T> Labelled<T>(T value, string label, string text)
        where T : struct => new(value, new KeyValuePair<string, object?>(label, text));
}
