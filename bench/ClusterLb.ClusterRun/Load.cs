using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Steady load from all origins, counted by the step in which each request began.</summary>
/// <remarks>Open loop: a request that hangs does not keep the next one back. Not a measure of throughput.</remarks>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    /// <summary>HTTP requests from each origin.</summary>
    public static int RequestsPerSecond => (int)(TimeSpan.FromSeconds(1) / Pause);

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan DatagramTimeout = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly ServiceUnderTest _service;
    private readonly LossLog _losses;
    private readonly List<Task> _running = [];
    private volatile StepResult _step;
    private volatile StepResult _datagrams;

    public Load(ServiceUnderTest service, IEnumerable<Origin> origins, StepResult step, StepResult datagrams, LossLog losses)
    {
        _service = service;
        _losses = losses;
        _step = step;
        _datagrams = datagrams;
        foreach (Origin origin in origins)
        {
            _running.Add(Task.Run(() => RequestsAsync(origin)));
            _running.Add(Task.Run(() => DatagramsAsync(origin)));
        }
    }

    /// <summary>From here on requests count for another step.</summary>
    public void Begin(StepResult step, StepResult datagrams)
    {
        _step = step;
        _datagrams = datagrams;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    private async Task RequestsAsync(Origin origin)
    {
        var open = new List<Task>();
        while (!_stop.IsCancellationRequested)
        {
            StepResult step = _step;
            open.RemoveAll(t => t.IsCompleted);
            open.Add(Task.Run(async () => Count("HTTP", step, origin, await OnceAsync(origin))));
            await Task.Delay(Pause);
        }

        await Task.WhenAll(open);
    }

    private void Count(string kind, StepResult step, Origin origin, Answer answer)
    {
        if (step.Add(origin.Name, answer))
        {
            _losses.Add(kind, step, origin, answer);
        }
    }

    private async Task<Answer> OnceAsync(Origin origin)
    {
        IPAddress address = _service.Address;
        if (origin.HasDns)
        {
            (IPAddress? found, Answer answer) = await Request.ResolveAsync(origin.Namespace, _service.Dns, _service.DnsName, Timeout);
            if (found is null)
            {
                return answer;
            }

            address = found;
        }

        return await Request.GetAsync(origin.Namespace, new IPEndPoint(address, ServiceUnderTest.Port), "/hostname", Timeout);
    }

    // One flow from one port for the whole run: what happens to it when its pod goes is what DNS clients and QUIC see.
    private async Task DatagramsAsync(Origin origin)
    {
        using Socket socket = origin.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(new IPEndPoint(_service.Address, ServiceUnderTest.Port));
        while (!_stop.IsCancellationRequested)
        {
            StepResult step = _datagrams;
            Count("UDP", step, origin, await Request.AskAsync(socket, "hostname"u8.ToArray(), DatagramTimeout));
            await Task.Delay(Pause);
        }
    }
}
