using System.Diagnostics.Metrics;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Agent.Metrics;

/// <summary>What the agent counts by itself, under kube-proxy's names. Thread-safe.</summary>
public sealed class AgentMetrics : IDisposable
{
    // kube-proxy: 0.001 s doubled, 15 times.
    private static readonly double[] SyncBuckets = [.. Enumerable.Range(0, 15).Select(i => 0.001 * (1 << i))];

    // kube-proxy: 0.25 and 0.5 s, every second to a minute, every 5 to two minutes, every 30 to five.
    private static readonly double[] ProgrammingBuckets =
        [0.25, 0.5, .. Steps(1, 1, 59), .. Steps(60, 5, 12), .. Steps(120, 30, 7)];

    // What is ours is far below: 0.05 ms doubled, 20 times, to 26 s.
    private static readonly double[] StageBuckets = [.. Enumerable.Range(0, 20).Select(i => 0.00005 * (1 << i))];

    private readonly Histogram<double> _networkProgramming;
    private readonly Histogram<double> _stage;
    private readonly Histogram<double> _syncDuration;
    private readonly Counter<long> _healthz;
    private readonly Counter<long> _livez;
    private readonly Counter<long> _steeringChanges;

    /// <summary>Instruments of one agent.</summary>
    public AgentMetrics()
    {
        Meter = new Meter("ClusterLb.Agent");
        _syncDuration = Meter.CreateHistogram<double>(
            "kubeproxy_sync_proxy_rules_duration_seconds", "s", "How long bringing the maps up to date took.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = SyncBuckets });
        _networkProgramming = Meter.CreateHistogram<double>(
            "kubeproxy_network_programming_duration_seconds", "s",
            "From the time that the control plane gives for a change of endpoints to its last map entry.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = ProgrammingBuckets });
        _stage = Meter.CreateHistogram<double>(
            "clusterlb_sync_stage_duration_seconds", "s", "Where the time of a change goes: api, read, write, packet.", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = StageBuckets });
        _healthz = Meter.CreateCounter<long>("kubeproxy_proxy_healthz_total", null, "Answers of /healthz, by status code.");
        _livez = Meter.CreateCounter<long>("kubeproxy_proxy_livez_total", null, "Answers of /livez, by status code.");
        _steeringChanges = Meter.CreateCounter<long>(
            "clusterlb_steering_changes_total", null, "Routes, rules, settings and tables that were written, at the start or to repair them.");
    }

    /// <summary>For instruments of others that shall appear beside these.</summary>
    public Meter Meter { get; }

    /// <summary>A sync ended.</summary>
    public void RecordSync(TimeSpan duration) => _syncDuration.Record(duration.TotalSeconds);

    /// <summary>A change is in the maps.</summary>
    public void RecordWritten(TracedChange change)
    {
        RecordStage("read", change.ReadMs);
        RecordStage("write", change.WriteMs);
        if (change.ApiMs is { } api)
        {
            RecordStage("api", api);
            _networkProgramming.Record(change.TotalMs / 1000, new KeyValuePair<string, object?>("ip_family", change.Family));
        }
    }

    /// <summary>The first packet of a change was seen.</summary>
    public void RecordFirstPacket(TracedChange change) => RecordStage("packet", change.PacketMs ?? 0);

    /// <summary>A health check was answered.</summary>
    public void CountHealthAnswer(bool healthz, int status) =>
        (healthz ? _healthz : _livez).Add(1, new KeyValuePair<string, object?>("code", status));

    /// <summary>Steering wrote something.</summary>
    public void CountSteeringChanges(int changes) => _steeringChanges.Add(changes);

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();

    private void RecordStage(string stage, double milliseconds) =>
        _stage.Record(milliseconds / 1000, new KeyValuePair<string, object?>("stage", stage));

    private static IEnumerable<double> Steps(double first, double step, int count) => Enumerable.Range(0, count).Select(i => first + (i * step));
}
