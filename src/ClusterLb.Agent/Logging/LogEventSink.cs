using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>Where there is no API server, an operator is told by the log.</summary>
internal sealed class LogEventSink(ILogger log) : IEventSink
{
    /// <inheritdoc/>
    public void Warn(string kind, ObjectName name, string reason, string note) =>
        log.LogWarning("Event {Kind} {Name} {Reason} {Note}", kind, name.ToString(), reason, note);
}
