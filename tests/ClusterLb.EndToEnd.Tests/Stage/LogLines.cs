using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>What was logged, a line each. Any thread.</summary>
internal sealed class LogLines : ILogger, IDisposable
{
    private readonly ConcurrentQueue<string> _lines = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue($"{logLevel}: {formatter(state, exception)}");

    public override string ToString() => string.Join('\n', _lines);

    public void Dispose() => _lines.Clear();
}
