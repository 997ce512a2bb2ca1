using System.Globalization;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>Writes the log in a format of klog, which every Kubernetes component uses, one line per message.</summary>
/// <remarks>
/// Text: <c>I1121 14:12:26.710114       1 NodeAgent.cs:1] "Serving" services=12 backends=40</c>: severity, month and day, time,
/// process, where, what, and the values by name. The line of the source is not known here, and 1 is what klog writes then.
/// JSON: an object with ts (milliseconds), caller, msg, v, and the values. Thread-safe.
/// </remarks>
public sealed class KlogProvider : ILoggerProvider
{
    private readonly TextWriter _output;
    private readonly LogFormat _format;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private volatile int _verbosity;

    /// <summary>A provider that writes to <paramref name="output"/>, usually standard error.</summary>
    /// <param name="output">Not disposed.</param>
    /// <param name="verbosity">klog's -v: from 4 debug messages are written, from 5 trace messages.</param>
    /// <param name="format">What a line looks like.</param>
    /// <param name="time">The clock of the lines.</param>
    public KlogProvider(TextWriter output, int verbosity, LogFormat format = LogFormat.Text, TimeProvider? time = null)
    {
        _output = output;
        _verbosity = verbosity;
        _format = format;
        _time = time ?? TimeProvider.System;
    }

    /// <summary>klog's -v. Any thread.</summary>
    public int Verbosity
    {
        get => _verbosity;
        set => _verbosity = value;
    }

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new KlogLogger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..] + ".cs:1");

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    internal bool IsEnabled(LogLevel level) => level != LogLevel.None && LevelOf(level, default) <= _verbosity;

    internal void Write(LogLevel level, EventId id, string caller, KlogMessage message)
    {
        int verbosity = LevelOf(level, id);
        if (verbosity > _verbosity)
        {
            return;
        }

        string line = _format == LogFormat.Json
            ? KlogJson.Line(message, caller, verbosity, level >= LogLevel.Warning, _time.GetUtcNow())
            : string.Create(
                CultureInfo.InvariantCulture, $"{Severity(level)}{_time.GetLocalNow():MMdd HH:mm:ss.ffffff} {Environment.ProcessId,7} {caller}] {KlogText.Of(message)}");
        lock (_lock)
        {
            _output.WriteLine(line);
            _output.Flush();
        }
    }

    private static int LevelOf(LogLevel level, EventId id) => level switch
    {
        LogLevel.Trace => 5,
        LogLevel.Debug => 4,
        LogLevel.Information => id.Id,
        _ => 0,
    };

    private static char Severity(LogLevel level) => level switch
    {
        LogLevel.Critical => 'F',
        LogLevel.Error => 'E',
        LogLevel.Warning => 'W',
        _ => 'I',
    };
}
