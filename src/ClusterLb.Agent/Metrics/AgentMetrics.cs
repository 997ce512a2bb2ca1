using System.Diagnostics.Metrics;

namespace ClusterLb.Agent.Metrics;

/// <summary>What the agent counts by itself, under kube-proxy's names. Thread-safe.</summary>
public sealed class AgentMetrics : IDisposable
{
    // kube-proxy: 0.001 s doubled, 15 times.
    private static readonly double[] SyncBuckets = [.. Enumerable.Range(0, 15).Select(i => 0.001 * (1 << i))];

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
        _healthz = Meter.CreateCounter<long>("kubeproxy_proxy_healthz_total", null, "Answers of /healthz, by status code.");
        _livez = Meter.CreateCounter<long>("kubeproxy_proxy_livez_total", null, "Answers of /livez, by status code.");
        _steeringChanges = Meter.CreateCounter<long>(
            "clusterlb_steering_changes_total", null, "Routes, rules, settings and tables that were written, at the start or to repair them.");
    }

    /// <summary>For instruments of others that shall appear beside these.</summary>
    public Meter Meter { get; }

    /// <summary>A sync ended.</summary>
    public void RecordSync(TimeSpan duration) => _syncDuration.Record(duration.TotalSeconds);

    /// <summary>A health check was answered.</summary>
    public void CountHealthAnswer(bool healthz, int status) =>
        (healthz ? _healthz : _livez).Add(1, new KeyValuePair<string, object?>("code", status));

    /// <summary>Steering wrote something.</summary>
    public void CountSteeringChanges(int changes) => _steeringChanges.Add(changes);

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();
}
