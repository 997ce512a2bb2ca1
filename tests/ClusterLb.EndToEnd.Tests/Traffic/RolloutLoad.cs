using System.Collections.Concurrent;
using System.Diagnostics;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>What a service is asked while its endpoints are replaced: new connections all the while, and long-lived ones.</summary>
/// <remarks>One thread tells it what happens; the clients are tasks of their own.</remarks>
internal sealed class RolloutLoad(RolloutLabFixture fixture, LabService service) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan BetweenConnections = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan BetweenQuestions = TimeSpan.FromMilliseconds(20);

    // Each datagram from a port of its own: from one that was used lately, it would belong to a flow that there is, and stay with its endpoint.
    private const int FirstUdpPort = 10_000;

    // When the endpoint of a UDP flow ends before anybody is told, the question that waits in its socket is lost, and the next one is refused.
    private const int MostLostPerMove = 2;

    private static readonly (string From, bool Ipv6, ConnectProtocol Protocol)[] Clients =
    [
        ("client-a", false, ConnectProtocol.Http), ("client-a", true, ConnectProtocol.Tcp), ("client-b", false, ConnectProtocol.Tcp),
        ("client-b", true, ConnectProtocol.Http), ("node-a", false, ConnectProtocol.Tcp), (LabTopology.ClientName, true, ConnectProtocol.Http),
        ("client-a", false, ConnectProtocol.Udp), ("client-b", true, ConnectProtocol.Udp),
    ];

    private readonly CancellationTokenSource _stop = new();
    private readonly long[] _begun = [.. Clients.Select(_ => long.MaxValue)]; // when the connection began that a client is making
    private readonly int[] _made = new int[Clients.Length];
    private readonly ConcurrentDictionary<string, long> _left = new(); // since when no new connection may go to a pod
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly List<CheckedStream> _tcp = [];
    private readonly List<(CheckedStream Stream, int Moves)> _udp = [];
    private Task _connecting = Task.CompletedTask;
    private int _streamsStarted;
    private double _longestGapMs;

    /// <summary>Connections and datagrams that found an endpoint.</summary>
    public int Connections => _made.Sum();

    /// <summary>Everything that went wrong so far.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>How it went, in figures.</summary>
    public string Summary =>
        $"{Connections} new connections, {_streamsStarted} long ones, {_udp.Count} UDP flows that moved {_udp.Sum(flow => flow.Moves)} times and lost "
        + $"{_udp.Sum(flow => flow.Stream.Lost)} datagrams; the longest silence of any {_longestGapMs:0} ms";

    /// <summary>Begins; returns when all long-lived ones are connected.</summary>
    public async Task StartAsync(int tcp, int udp)
    {
        for (int i = 0; i < tcp; i++)
        {
            _tcp.Add(await ConnectAsync(udp: false));
        }

        for (int i = 0; i < udp; i++)
        {
            _udp.Add((await ConnectAsync(udp: true), 0));
        }

        _connecting = Task.WhenAll(Enumerable.Range(0, Clients.Length).Select(client => Task.Run(() => ConnectAgainAndAgainAsync(client))));
    }

    /// <summary>Waits until each client has made a connection that it began after now.</summary>
    public async Task RoundAsync()
    {
        int[] goal = [.. _made.Select(made => made + 2)]; // one may have begun before
        await Eventually.IsAsync("every client goes on connecting", () => !_failures.IsEmpty || _made.Zip(goal).All(pair => pair.First >= pair.Second));
    }

    /// <summary>All nodes know that this endpoint is terminating: nobody may be sent there from now on.</summary>
    public void Leave(LabPod pod) => _left[pod.Name] = Stopwatch.GetTimestamp();

    /// <summary>Ends what still goes to an endpoint that was left, as its clients would: nothing of it may have been interrupted.</summary>
    public async Task EndAsync(LabPod pod)
    {
        await Eventually.IsAsync($"new connections to {pod.Name} are over", () =>
            Enumerable.Range(0, Clients.Length).All(client => Volatile.Read(ref _begun[client]) > _left[pod.Name]));
        foreach (CheckedStream stream in _tcp.Where(stream => stream.Pod == pod.Name).ToArray())
        {
            await stream.WaitForMoreAsync(3);
            _tcp.Remove(stream);
            await EndAsync(stream);
            _tcp.Add(await ConnectAsync(udp: false));
        }
    }

    /// <summary>UDP flows to an endpoint that is about to end, or to be taken away, go elsewhere.</summary>
    /// <param name="pod">Whose.</param>
    /// <param name="happen">Takes it away.</param>
    public async Task MoveAsync(LabPod pod, Func<Task> happen)
    {
        int[] moving = [.. Enumerable.Range(0, _udp.Count).Where(i => _udp[i].Stream.Pod == pod.Name)];
        await happen();
        foreach (int i in moving)
        {
            _udp[i] = (_udp[i].Stream, _udp[i].Moves + 1);
            await Eventually.IsAsync($"a UDP flow leaves {pod.Name}", () => _udp[i].Stream.Pod != pod.Name);
        }
    }

    /// <summary>Ends it all.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _connecting;
        foreach (CheckedStream stream in _tcp)
        {
            await stream.WaitForMoreAsync(3);
            await EndAsync(stream);
        }

        foreach ((CheckedStream stream, int moves) in _udp)
        {
            StreamReport report = await stream.StopAsync();
            if (report.Failure.Length > 0 || report.Lost > moves * MostLostPerMove)
            {
                _failures.Enqueue($"{report.Client}, UDP: {report.Failure} {report.Lost} datagrams lost, and it moved {moves} times");
            }
        }

        _tcp.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _connecting;
        foreach (CheckedStream stream in _tcp.Concat(_udp.Select(flow => flow.Stream)))
        {
            await stream.DisposeAsync();
        }

        _stop.Dispose();
    }

    private async Task<CheckedStream> ConnectAsync(bool udp)
    {
        string[] from = ["client-a", "client-b", "node-a", LabTopology.ClientName];
        int number = _streamsStarted++;
        return await CheckedStream.StartAsync(
            TrafficTarget.Of(fixture.Lab, from[number % 4], service.ClusterIp(ipv6: number / 4 % 2 == 1), 7), udp, Patience, BetweenQuestions);
    }

    private async Task EndAsync(CheckedStream stream)
    {
        StreamReport report = await stream.StopAsync();
        _longestGapMs = Math.Max(_longestGapMs, report.LongestGapMs);
        if (report.Failure.Length > 0)
        {
            _failures.Enqueue($"{report.Client} to {report.Pod}: {report.Failure} after {report.Exchanges} exchanges");
        }
    }

    private async Task ConnectAgainAndAgainAsync(int client)
    {
        (string from, bool ipv6, ConnectProtocol protocol) = Clients[client];
        TrafficTarget target = TrafficTarget.Of(fixture.Lab, from, service.ClusterIp(ipv6), protocol == ConnectProtocol.Http ? 80 : 7);
        while (!_stop.IsCancellationRequested)
        {
            long begun = Stopwatch.GetTimestamp();
            Volatile.Write(ref _begun[client], begun);
            int port = protocol == ConnectProtocol.Udp ? FirstUdpPort + _made[client] : 0;
            Attempt attempt = await Connector.OnceAsync(target with { FromPort = port }, protocol, Patience);
            Volatile.Write(ref _begun[client], long.MaxValue);
            if (attempt.Answer is not { Pod: var pod })
            {
                _failures.Enqueue($"{from}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}: {attempt.Failure} after {attempt.Elapsed.TotalMilliseconds:0} ms");
            }
            else if (_left.TryGetValue(pod, out long since) && begun > since)
            {
                _failures.Enqueue($"{from}, {protocol}: sent to {pod}, which was terminating already");
            }

            Interlocked.Increment(ref _made[client]);
            await Task.Delay(BetweenConnections);
        }
    }
}
