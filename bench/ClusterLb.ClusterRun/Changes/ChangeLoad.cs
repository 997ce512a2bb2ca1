using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ClusterLb.ClusterRun.Changes;

/// <summary>Connections and flows that last, and new ones, from all origins in turn; counted by the step in which each was lost or answered.</summary>
/// <remarks>Open loop: one that hangs does not keep the next one back.</remarks>
internal sealed class ChangeLoad : IAsyncDisposable
{
    public const int LongTcp = 60;
    public const int LongUdp = 20;
    public const int NewTcpPerSecond = 100;
    public const int NewUdpPerSecond = 50;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50); // between messages of one flow
    private static readonly TimeSpan TcpPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan UdpPatience = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _service;
    private readonly IReadOnlyList<Origin> _origins;
    private readonly List<Task> _running = [];
    private readonly Lock _lock = new();
    private readonly List<(ChangeResult Step, string Pod, string Why)> _broken = [];
    private volatile ChangeResult _step;

    public ChangeLoad(IPEndPoint service, IReadOnlyList<Origin> origins, ChangeResult step)
    {
        _service = service;
        _origins = origins;
        _step = step;
        for (int i = 0; i < LongTcp; i++)
        {
            Origin origin = origins[i % origins.Count];
            _running.Add(Task.Run(() => LongTcpAsync(origin)));
        }

        for (int i = 0; i < LongUdp; i++)
        {
            Origin origin = origins[i % origins.Count];
            _running.Add(Task.Run(() => LongUdpAsync(origin)));
        }

        _running.Add(Task.Run(() => EverySoOftenAsync(NewTcpPerSecond, NewTcpAsync)));
        _running.Add(Task.Run(() => EverySoOftenAsync(NewUdpPerSecond, NewUdpAsync)));
    }

    /// <summary>From here on what happens counts for another step.</summary>
    public void Begin(ChangeResult step) => _step = step;

    /// <summary>Counts the connections that broke since the last call: those as lost whose pods have not ended.</summary>
    /// <param name="alive">Pods that are not about to end now.</param>
    public void Judge(IReadOnlyCollection<string> alive)
    {
        lock (_lock)
        {
            foreach ((ChangeResult step, string pod, string why) in _broken.Where(b => b.Pod.Length == 0 || alive.Contains(b.Pod)))
            {
                step.LongTcp.AddLost();
                step.AddReason("long TCP " + why);
            }

            _broken.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    private async Task LongTcpAsync(Origin origin)
    {
        while (!_stop.IsCancellationRequested)
        {
            using var connection = new LongConnection(origin.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            try
            {
                await connection.OpenAsync(_service, TcpPatience);
                while (!_stop.IsCancellationRequested)
                {
                    TimeSpan took = await connection.EchoAsync(TcpPatience);
                    _step.LongTcp.Add(took);
                    await Task.Delay(Pause);
                }
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
            {
                lock (_lock)
                {
                    _broken.Add((_step, connection.Pod, Why(e)));
                }

                await Task.Delay(Pause);
            }
        }
    }

    private async Task LongUdpAsync(Origin origin)
    {
        using Socket socket = origin.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(_service);
        for (int i = 0; !_stop.IsCancellationRequested; i++)
        {
            Count(_step, _step.LongUdp, "long UDP", await EchoAsync(socket, i));
            await Task.Delay(Pause);
        }
    }

    private async Task NewTcpAsync(Origin origin)
    {
        ChangeResult step = _step;
        Count(step, step.NewTcp, "new TCP", await Request.GetAsync(origin.Namespace, _service, "/hostname", TcpPatience));
    }

    private async Task NewUdpAsync(Origin origin)
    {
        ChangeResult step = _step;
        using Socket socket = origin.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(_service);
        Count(step, step.NewUdp, "new UDP", await EchoAsync(socket, 0));
    }

    // An ICMP error about the question before waits on the socket, too: it was counted then.
    private static Task<Answer> EchoAsync(Socket socket, int number)
    {
        _ = socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error);
        string message = number.ToString(CultureInfo.InvariantCulture);
        return Request.AskAsync(socket, Encoding.ASCII.GetBytes("echo " + message), UdpPatience, answer => answer == message);
    }

    private static void Count(ChangeResult step, Tally tally, string kind, Answer answer)
    {
        if (answer.Failure.Length == 0)
        {
            tally.Add(answer.Elapsed);
            return;
        }

        tally.AddLost();
        step.AddReason($"{kind} {answer.Failure}");
    }

    private static string Why(Exception e) => e switch
    {
        SocketException socket => socket.SocketErrorCode.ToString(),
        OperationCanceledException => "timeout",
        _ => e.Message,
    };

    private async Task EverySoOftenAsync(int perSecond, Func<Origin, Task> once)
    {
        var open = new List<Task>();
        long started = Stopwatch.GetTimestamp();
        for (long i = 0; !_stop.IsCancellationRequested; i++)
        {
            Origin origin = _origins[(int)(i % _origins.Count)];
            open.RemoveAll(t => t.IsCompleted);
            open.Add(Task.Run(() => once(origin)));
            TimeSpan early = TimeSpan.FromSeconds((double)(i + 1) / perSecond) - Stopwatch.GetElapsedTime(started);
            if (early > TimeSpan.Zero)
            {
                await Task.Delay(early);
            }
        }

        await Task.WhenAll(open);
    }
}
