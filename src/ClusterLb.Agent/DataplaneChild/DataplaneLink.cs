using System.Collections.Concurrent;
using ClusterLb.Dataplane.Host;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>A living dataplane as the agent holds it: a connection for requests, and a pidfd that can hit no other process.</summary>
/// <remarks>Thread-safe. A thread of its own receives; requests may overlap.</remarks>
internal sealed class DataplaneLink : IDisposable
{
    private readonly ControlConnection _connection;
    private readonly Action<int, string> _log;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<long, TaskCompletionSource<DataplaneReply>> _pending = new();
    private readonly Thread _receiver;
    private long _lastId;
    private volatile bool _closed;
    private int _disposed;

    /// <summary>Takes both over.</summary>
    /// <param name="connection">To the dataplane.</param>
    /// <param name="process">Its pidfd.</param>
    /// <param name="log">Gets the dataplane's log lines: level and text.</param>
    /// <param name="time">Measures how long an answer takes.</param>
    public DataplaneLink(ControlConnection connection, SafeFileHandle process, Action<int, string> log, TimeProvider time)
    {
        _time = time;
        _connection = connection;
        _log = log;
        Process = process;
        _receiver = new Thread(Receive) { Name = "dataplane-replies", IsBackground = true };
        _receiver.Start();
    }

    /// <summary>The dataplane's pidfd.</summary>
    public SafeFileHandle Process { get; }

    /// <summary>Asks, and waits for the answer.</summary>
    /// <exception cref="ControlSocketException">The dataplane is gone, or refused; its reason is the message.</exception>
    /// <exception cref="TimeoutException">No answer in time.</exception>
    public async Task<DataplaneReply> RequestAsync(
        ControlMessage request, TimeSpan timeout, SafeFileHandle[]? descriptors = null, CancellationToken cancellation = default)
    {
        long id = Interlocked.Increment(ref _lastId);
        var answered = new TaskCompletionSource<DataplaneReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answered;
        try
        {
            _connection.Send(request with { Id = id }, descriptors ?? []);
            if (_closed)
            {
                throw Gone(); // it closed before the receiver could see this request among the pending ones
            }

            DataplaneReply reply = await answered.Task.WaitAsync(timeout, _time, cancellation);
            return reply.Message.Error is { } error
                ? throw new ControlSocketException($"The dataplane refused '{request.Kind}': {error}")
                : reply;
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _connection.Shutdown();
        if (Thread.CurrentThread != _receiver)
        {
            _receiver.Join();
        }

        _connection.Dispose();
        Process.Dispose();
    }

    private static ControlSocketException Gone() => new("The dataplane has closed the control socket.");

    private void Receive()
    {
        try
        {
            while (_connection.Receive(out SafeFileHandle[] descriptors) is { } message)
            {
                if (message.Kind == ControlKind.Log)
                {
                    _log(message.LogLevel ?? 0, message.LogText ?? "");
                }
                else if (!_pending.TryRemove(message.Id, out TaskCompletionSource<DataplaneReply>? answered)
                    || !answered.TrySetResult(new DataplaneReply(message, descriptors)))
                {
                    foreach (SafeFileHandle descriptor in descriptors)
                    {
                        descriptor.Dispose(); // whoever asked has given up
                    }
                }
            }
        }
        catch (ControlSocketException e)
        {
            // What it sends makes no sense: the connection is worth nothing any more. The process is judged by its heartbeat.
            _log(3, e.Message);
        }

        _closed = true;
        foreach (TaskCompletionSource<DataplaneReply> waiting in _pending.Values)
        {
            waiting.TrySetException(Gone());
        }
    }
}
