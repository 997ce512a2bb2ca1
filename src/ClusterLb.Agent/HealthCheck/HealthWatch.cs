using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.HealthCheck;

/// <summary>Tells people when the node begins and ceases to serve worse than it should: a line of the log, and an Event on the Node.</summary>
/// <param name="nodeName">Whose event it is.</param>
/// <param name="health">As /livez sees it.</param>
/// <param name="events">Where it is told.</param>
/// <param name="log">Where it is told too.</param>
/// <param name="time">The clock.</param>
internal sealed class HealthWatch(string nodeName, Func<AgentHealth> health, IEventSink events, ILogger log, TimeProvider time)
{
    /// <summary>What scripts look for.</summary>
    public const string DegradedReason = "Degraded";

    // What mends itself at once, a dataplane that is started again, is no event, and metrics count it: two looks in a row must be bad.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private bool _wasHealthy; // once: the start is no degradation
    private bool _wasBad; // at the last look
    private bool _isDegraded;

    /// <summary>Looks now and then until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (true)
        {
            await Task.Delay(Period, time, cancellation);
            Look();
        }
    }

    private void Look()
    {
        AgentHealth now = health();
        bool wasBad = _wasBad;
        _wasBad = !now.Healthy;
        _wasHealthy |= now.Healthy;
        if (_isDegraded == (_wasHealthy && !now.Healthy) || (!_isDegraded && !wasBad))
        {
            return;
        }

        _isDegraded = !_isDegraded;
        if (!_isDegraded)
        {
            log.LogInformation("Healthy again");
            return;
        }

        string why = string.Join("; ", now.Problems);
        log.LogError("Degraded {Reason}", why);
        events.Warn(ObjectReader.NodeKind, new ObjectName("", nodeName), DegradedReason, why);
    }
}
