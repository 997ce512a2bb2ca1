using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>Stands between a client and a server and behaves badly on request: stalls, cuts in the middle, refuses.</summary>
/// <remarks>It sees bytes, not requests, so it works for the real server and the fake alike, and TLS stays end to end.</remarks>
public sealed class TcpRelay : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Relayed, bool> _open = new();
    private readonly Task _accepting;
    private volatile TaskCompletionSource _moving = Done();
    private volatile bool _refuses;
    private long _budget = long.MaxValue;

    /// <summary>Relays from a listening socket, which is the relay's from now on.</summary>
    /// <param name="listener">Bound and listening; perhaps in another network namespace.</param>
    /// <param name="target">Where the server is, in this process's namespace.</param>
    public TcpRelay(Socket listener, IPEndPoint target)
    {
        _listener = listener;
        Target = target;
        EndPoint = (IPEndPoint)listener.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients dial.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Where it leads.</summary>
    public IPEndPoint Target { get; }

    /// <summary>Connections that were made, refused ones too.</summary>
    public int Connections { get; private set; }

    /// <summary>A relay on loopback, at a port of the kernel's choosing.</summary>
    public static TcpRelay OnLoopback(IPEndPoint target)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        return new TcpRelay(listener, target);
    }

    /// <summary>No byte moves any more, in open and new connections, but none is closed: a server that hangs.</summary>
    public void Stall() => _moving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What was held back moves on.</summary>
    public void Resume() => _moving.TrySetResult();

    /// <summary>No byte moves any more in the connections that are open now, for good; new ones work: a host that died silently.</summary>
    public void HangOpen()
    {
        foreach (Relayed connection in _open.Keys)
        {
            connection.Hangs = true;
        }
    }

    /// <summary>Every piece that comes from the server is held back so long: a slow server.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Breaks all open connections with a reset.</summary>
    public void Cut()
    {
        foreach (Relayed connection in _open.Keys)
        {
            connection.Reset();
        }
    }

    /// <summary>Breaks all connections as soon as this many more bytes have come from the server: in the middle of a line.</summary>
    public void CutAfter(long bytes) => Interlocked.Exchange(ref _budget, bytes);

    /// <summary>Breaks all connections and every new one at once, until <see cref="Accept"/>.</summary>
    public void Refuse()
    {
        _refuses = true;
        Cut();
    }

    /// <summary>Lets connections through again.</summary>
    public void Accept() => _refuses = false;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Resume();
        _listener.Dispose();
        await _accepting;
        Cut();
        _stop.Dispose();
    }

    private static TaskCompletionSource Done()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync(_stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            Connections++;
            _ = RelayAsync(client);
        }
    }

    private async Task RelayAsync(Socket client)
    {
        using var connection = new Relayed(client, new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        try
        {
            if (_refuses)
            {
                connection.Reset();
                return;
            }

            _open[connection] = true;
            await connection.Server.ConnectAsync(Target);
            await Task.WhenAll(
                Guarded(connection, MoveAsync(connection, connection.Client, connection.Server)),
                Guarded(connection, MoveAsync(connection, connection.Server, connection.Client)));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            connection.Reset(); // the server is away
        }
        finally
        {
            _open.TryRemove(connection, out _);
        }
    }

    // What one side broke is broken for the other at once.
    private static async Task Guarded(Relayed connection, Task moving)
    {
        try
        {
            await moving;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            connection.Reset();
        }
    }

    private async Task MoveAsync(Relayed connection, Socket from, Socket to)
    {
        bool fromServer = from == connection.Server;
        byte[] buffer = new byte[16384];
        while (await from.ReceiveAsync(buffer) is > 0 and int length)
        {
            await _moving.Task;
            if (connection.Hangs)
            {
                continue; // swallowed, also what tells that the other side has ended
            }

            if (fromServer && Delay > TimeSpan.Zero)
            {
                await Task.Delay(Delay);
            }

            int allowed = length;
            if (fromServer && Interlocked.Add(ref _budget, -length) is < 0 and long left)
            {
                allowed = (int)Math.Max(0, length + left);
            }

            await to.SendAsync(buffer.AsMemory(0, allowed));
            if (allowed < length)
            {
                Interlocked.Exchange(ref _budget, long.MaxValue);
                Cut();
                return;
            }
        }

        if (!connection.Hangs)
        {
            to.Shutdown(SocketShutdown.Send);
        }
    }

    private sealed class Relayed(Socket client, Socket server) : IDisposable
    {
        public Socket Client => client;

        public Socket Server => server;

        public volatile bool Hangs;

        public void Reset()
        {
            try
            {
                Client.LingerState = new LingerOption(enable: true, seconds: 0); // closing then resets
            }
            catch (ObjectDisposedException)
            {
                return;
            }

            Dispose();
        }

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
        }
    }
}
