using System.Threading.Channels;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>Events as lines, to be waited for.</summary>
internal sealed class RecordedEvents : IEventSink
{
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

    public void Warn(string kind, ObjectName name, string reason, string note) => _lines.Writer.TryWrite($"{kind} {name} {reason}: {note}");

    public async Task<string> NextAsync() => await _lines.Reader.ReadAsync(new CancellationTokenSource(TimeSpan.FromMinutes(1)).Token);

    public bool IsEmpty => !_lines.Reader.TryPeek(out _);
}
