using System.Diagnostics.Metrics;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Metrics;

/// <summary>What the agent counts by itself, under kube-proxy's names. Thread-safe.</summary>
public sealed class AgentMetrics : IDisposable
{
    // kube-proxy: 0.001 s doubled, 15 times.
    private static readonly double[] SyncBuckets = [.. Enumerable.Range(0, 15).Select(i => 0.001 * (1 << i))];

    // kube-proxy: finer where a healthy cluster is, coarser where people wait. The zero is there too.
    private static readonly double[] ProgrammingBuckets =
    [
        0, 0.25, 0.5, .. Steps(1, 1, 59), .. Steps(60, 5, 12), .. Steps(120, 30, 7),
    ];

    // What is ours is far below: 0.05 ms doubled, 20 times, to 26 s.
    private static readonly double[] StageBuckets = [.. Enumerable.Range(0, 20).Select(i => 0.00005 * (1 << i))];

    private readonly Histogram<double> _stage;
    private readonly Histogram<double> _implementationDelay;
    private readonly Histogram<double> _syncDuration;
    private readonly Histogram<double> _fullSyncDuration;
    private readonly Histogram<double> _partialSyncDuration;
    private readonly Histogram<double> _networkProgramming;
    private readonly Counter<long> _healthz;
    private readonly Counter<long> _livez;
    private readonly Counter<long> _steeringChanges;
    private readonly Counter<long> _steeringRepairs;

    /// <summary>Instruments of one agent.</summary>
    public AgentMetrics()
    {
        Meter = new Meter("ClusterLb.Agent");
        _implementationDelay = Duration(
            "clusterlb_service_implementation_delay", "From the bytes of a change to its last map entry, in seconds, by action.", StageBuckets);
        _syncDuration = Duration("kubeproxy_sync_proxy_rules_duration_seconds", "How long bringing the maps up to date took.", SyncBuckets);
        _fullSyncDuration = Duration(
            "kubeproxy_sync_full_proxy_rules_duration_seconds", "How long a comparison of all services with the maps took.", SyncBuckets);
        _partialSyncDuration = Duration(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds", "How long writing only what changed took.", SyncBuckets);
        _networkProgramming = Duration(
            "kubeproxy_network_programming_duration_seconds",
            "From the time that the control plane gives for a change of endpoints to its last map entry.", ProgrammingBuckets);
        _stage = Duration("clusterlb_sync_stage_duration_seconds", "Where the time of a change goes: api, read, write, packet.", StageBuckets);
        _healthz = Meter.CreateCounter<long>("kubeproxy_proxy_healthz_total", null, "Answers of /healthz, by status code.");
        _livez = Meter.CreateCounter<long>("kubeproxy_proxy_livez_total", null, "Answers of /livez, by status code.");
        _steeringChanges = Meter.CreateCounter<long>(
            "clusterlb_steering_changes_total", null, "Routes, rules, settings and tables that were written, at the start or to repair them.");
        _steeringRepairs = Meter.CreateCounter<long>(
            "clusterlb_steering_repairs_total", null, "Times that steering was put back because somebody had removed or changed some of it.");
    }

    /// <summary>For instruments of others that shall appear beside these.</summary>
    public Meter Meter { get; }

    /// <summary>A sync ended well.</summary>
    /// <param name="duration">One pass does both families.</param>
    /// <param name="families">Whose changes it wrote; both after a comparison of everything.</param>
    /// <param name="isFull">Everything was compared, changed or not.</param>
    public void RecordSync(TimeSpan duration, Families families, bool isFull)
    {
        foreach (KeyValuePair<string, object?> family in FamilyLabel.Of(families))
        {
            _syncDuration.Record(duration.TotalSeconds, family);
            (isFull ? _fullSyncDuration : _partialSyncDuration).Record(duration.TotalSeconds, family);
        }
    }

    /// <summary>A change is in the maps.</summary>
    public void RecordWritten(TracedChange change)
    {
        RecordStage("read", change.ReadMs);
        RecordStage("write", change.WriteMs);
        _implementationDelay.Record(
            (change.ReadMs + change.WriteMs) / 1000, new KeyValuePair<string, object?>("action", change.IsRemoval ? "delete" : "upsert"));
        if (change.ApiMs is { } api)
        {
            RecordStage("api", api);
            _networkProgramming.Record(Math.Max(0, change.TotalMs / 1000), new KeyValuePair<string, object?>("ip_family", change.Family));
        }
    }

    /// <summary>The first packet of a change was seen.</summary>
    public void RecordFirstPacket(TracedChange change) => RecordStage("packet", change.PacketMs ?? 0);

    /// <summary>A health check was answered.</summary>
    public void CountHealthAnswer(bool healthz, int status) =>
        (healthz ? _healthz : _livez).Add(1, new KeyValuePair<string, object?>("code", status));

    /// <summary>Steering wrote something.</summary>
    public void CountSteeringChanges(int changes) => _steeringChanges.Add(changes);

    /// <summary>Somebody had removed or changed some of steering; it was put back.</summary>
    public void CountSteeringRepair() => _steeringRepairs.Add(1);

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();

    private void RecordStage(string stage, double milliseconds) =>
        _stage.Record(milliseconds / 1000, new KeyValuePair<string, object?>("stage", stage));

    private Histogram<double> Duration(string name, string help, double[] buckets) =>
        Meter.CreateHistogram(name, "s", help, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });

    private static IEnumerable<double> Steps(double first, double step, int count) => Enumerable.Range(0, count).Select(i => first + (i * step));
}
