using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Agent.Http;

/// <summary>Listening sockets that come and go under one running server. Thread-safe.</summary>
/// <remarks>
/// A server per port would cost threads' worth of timers and pools for each of thousands of ports; here a port costs a socket and
/// one pending accept. Kestrel sees one transport with one listener, whose connections came in by any of the sockets.
/// </remarks>
internal sealed class ListenerSet : IConnectionListenerFactory, IConnectionListener
{
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);
    private const int Backlog = 128;

    private readonly ConcurrentDictionary<IPEndPoint, Socket> _sockets = new();
    private readonly Channel<ConnectionContext> _accepted = Channel.CreateUnbounded<ConnectionContext>();
    private readonly SocketConnectionContextFactory _contexts = new(new SocketConnectionFactoryOptions(), NullLogger.Instance);

    /// <inheritdoc/>
    public EndPoint EndPoint { get; private set; } = new IPEndPoint(IPAddress.None, 0);

    /// <summary>Listens on one more address. [::] is IPv6 alone, so that each family can be served by itself.</summary>
    /// <exception cref="SocketException">It is in use, or not of this node.</exception>
    public void Open(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (address.AddressFamily == AddressFamily.InterNetworkV6)
            {
                socket.DualMode = false;
            }

            socket.Bind(address);
            socket.Listen(Backlog);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        _sockets[address] = socket;
        _ = AcceptAsync(socket);
    }

    /// <summary>Listens there no longer. Connections that are open end with their next request.</summary>
    public void Close(IPEndPoint address)
    {
        if (_sockets.TryRemove(address, out Socket? socket))
        {
            socket.Dispose();
        }
    }

    /// <inheritdoc/>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        EndPoint = endpoint;
        return ValueTask.FromResult<IConnectionListener>(this);
    }

    /// <inheritdoc/>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
        await _accepted.Reader.WaitToReadAsync(cancellationToken) && _accepted.Reader.TryRead(out ConnectionContext? connection) ? connection : null;

    /// <inheritdoc/>
    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        foreach (IPEndPoint address in _sockets.Keys)
        {
            Close(address);
        }

        _accepted.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        while (_accepted.Reader.TryRead(out ConnectionContext? connection))
        {
            await connection.DisposeAsync();
        }

        _contexts.Dispose();
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            try
            {
                Hand(await listener.AcceptAsync());
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(AcceptPause); // out of descriptors, or the client went away: both pass
            }
        }
    }

    private void Hand(Socket connection)
    {
        bool isTaken = false;
        try
        {
            connection.NoDelay = true; // throws if the client has gone already
            isTaken = _accepted.Writer.TryWrite(_contexts.Create(connection));
        }
        finally
        {
            if (!isTaken)
            {
                connection.Dispose();
            }
        }
    }
}
