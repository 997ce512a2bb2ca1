using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>Writes the log in the text format of klog, which every Kubernetes component uses, one line per message.</summary>
/// <remarks>
/// <c>I1121 14:12:26.710114       1 NodeAgent] "Serving" services=12 backends=40</c>: severity, month and day, time, process,
/// where, what, and the values by name. Thread-safe.
/// </remarks>
public sealed class KlogProvider : ILoggerProvider
{
    private readonly TextWriter _output;
    private readonly int _verbosity;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();

    /// <summary>A provider that writes to <paramref name="output"/>, usually standard error.</summary>
    /// <param name="output">Not disposed.</param>
    /// <param name="verbosity">klog's -v: from 4 debug messages are written, from 5 trace messages.</param>
    /// <param name="time">The clock of the lines.</param>
    public KlogProvider(TextWriter output, int verbosity, TimeProvider? time = null)
    {
        _output = output;
        _verbosity = verbosity;
        _time = time ?? TimeProvider.System;
    }

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new KlogLogger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    internal bool IsEnabled(LogLevel level) => level switch
    {
        LogLevel.None => false,
        LogLevel.Trace => _verbosity >= 5,
        LogLevel.Debug => _verbosity >= 4,
        _ => true,
    };

    internal void Write(LogLevel level, string category, string message)
    {
        char severity = level switch
        {
            LogLevel.Critical => 'F',
            LogLevel.Error => 'E',
            LogLevel.Warning => 'W',
            _ => 'I',
        };
        string line = $"{severity}{_time.GetLocalNow():MMdd HH:mm:ss.ffffff} {Environment.ProcessId,7} {category}] {message}";
        lock (_lock)
        {
            _output.WriteLine(line);
            _output.Flush();
        }
    }
}
