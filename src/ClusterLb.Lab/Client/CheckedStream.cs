using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using ClusterLb.Lab.Echo;

namespace ClusterLb.Lab.Client;

/// <summary>A long-lived connection that asks and checks the answer every few milliseconds, to see any interruption.</summary>
/// <remarks>Start it, do something to the cluster, then <see cref="StopAsync"/> and look at the longest gap.</remarks>
public sealed class CheckedStream : IAsyncDisposable
{
    private const int BlockBytes = 512;
    private static readonly TimeSpan UsualPause = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan DatagramPatience = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _stop = new();
    private readonly TimeSpan _patience;
    private readonly TimeSpan _pause;
    private readonly bool _udp;
    private readonly long _started = Stopwatch.GetTimestamp();
    private Task _running = Task.CompletedTask;
    private EchoAnswer _answer = EchoGreeting.None.Answer;
    private string _failure = "";
    private long _exchanges;
    private long _bytes;
    private long _lost;
    private readonly HashSet<long> _givenUp = []; // questions by their numbers
    private double _longestGapMs;
    private double _gapSinceTakenMs;
    private long _lastAnswer = Stopwatch.GetTimestamp();

    private CheckedStream(bool udp, TimeSpan patience, TimeSpan pause)
    {
        _udp = udp;
        _patience = patience;
        _pause = pause;
    }

    /// <summary>Questions answered so far.</summary>
    public long Exchanges => Volatile.Read(ref _exchanges);

    /// <summary>Empty, or why it ended early.</summary>
    public string Failure => Volatile.Read(ref _failure);

    /// <summary>Datagrams without an answer so far; of TCP always 0.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Who gave the last answer (for TCP: who is at the other end).</summary>
    public string Pod => Volatile.Read(ref _answer).Pod;

    /// <summary>The client's address and port as the server saw them.</summary>
    public string Client => Volatile.Read(ref _answer).Client;

    /// <summary>Connects and begins; returns after the first answer.</summary>
    /// <param name="target">The echo port of a pod or service.</param>
    /// <param name="udp">Datagrams from one port instead of a TCP connection.</param>
    /// <param name="patience">How long TCP may stay silent before the stream gives up.</param>
    /// <param name="pause">Between an answer and the next question; 2 ms if null. Many streams on a small machine need more.</param>
    public static async Task<CheckedStream> StartAsync(TrafficTarget target, bool udp, TimeSpan patience, TimeSpan? pause = null)
    {
        var stream = new CheckedStream(udp, patience, pause ?? UsualPause);
        Socket socket;
        using (var limit = new CancellationTokenSource(patience))
        {
            socket = udp ? await target.ConnectUdpAsync(limit.Token) : await target.ConnectTcpAsync(limit.Token);
            if (!udp)
            {
                stream._answer = (await EchoGreeting.ReadAsync(socket, limit.Token)).Answer;
            }
        }

        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stream._running = Task.Run(() => stream.RunAsync(socket, first));
        await first.Task;
        return stream;
    }

    /// <summary>The longest time between two answers since this was last asked, a silence that still lasts included.</summary>
    public double TakeLongestGapMs() => Math.Max(
        Interlocked.Exchange(ref _gapSinceTakenMs, 0), Stopwatch.GetElapsedTime(Volatile.Read(ref _lastAnswer)).TotalMilliseconds);

    /// <summary>Waits until this many more questions were answered, or the stream has failed.</summary>
    public async Task WaitForMoreAsync(int exchanges)
    {
        long goal = Exchanges + exchanges;
        while (Exchanges < goal && !_running.IsCompleted)
        {
            await Task.Delay(UsualPause);
        }
    }

    /// <summary>Ends it and tells how it went.</summary>
    public async Task<StreamReport> StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
        return new StreamReport(
            _answer.Pod, _answer.Client, _bytes, _exchanges, Math.Round(_longestGapMs, 1), _lost,
            Stopwatch.GetElapsedTime(_started).TotalMilliseconds, _failure);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task RunAsync(Socket socket, TaskCompletionSource first)
    {
        using (socket)
        {
            var pattern = new Pattern(seed: 9);
            byte[] question = new byte[BlockBytes];
            byte[] answer = new byte[BlockBytes + 1024];
            long last = Stopwatch.GetTimestamp();
            for (long number = 0; !_stop.IsCancellationRequested && _failure.Length == 0; number++)
            {
                // The number makes every question different, so that a late answer is not taken for the next one's.
                pattern.Fill(question, number);
                BinaryPrimitives.WriteInt64BigEndian(question, number);
                bool answered = await ExchangeAsync(socket, question, answer);
                if (answered)
                {
                    _bytes += BlockBytes;
                    Volatile.Write(ref _exchanges, _exchanges + 1);
                    double gapMs = Stopwatch.GetElapsedTime(last).TotalMilliseconds;
                    _longestGapMs = Math.Max(_longestGapMs, gapMs);
                    _gapSinceTakenMs = Math.Max(Volatile.Read(ref _gapSinceTakenMs), gapMs);
                    last = Stopwatch.GetTimestamp();
                    Volatile.Write(ref _lastAnswer, last);
                }

                first.TrySetResult();
                await Task.Delay(_pause);
            }

            // A stream that is interrupted when it is stopped must not look fine.
            _longestGapMs = Math.Max(_longestGapMs, Stopwatch.GetElapsedTime(last).TotalMilliseconds);
            first.TrySetResult();
        }
    }

    private async Task<bool> ExchangeAsync(Socket socket, byte[] question, byte[] answer)
    {
        using var limit = new CancellationTokenSource(_udp ? DatagramPatience : _patience);
        try
        {
            await socket.SendAsync(question, limit.Token);
            return _udp ? await ReadDatagramAsync(socket, question, answer, limit.Token) : await ReadBlockAsync(socket, question, answer, limit.Token);
        }
        catch (SocketException) when (_udp)
        {
            GiveUp(question); // refused or unreachable for the moment: the next datagram may find a backend
            return false;
        }
        catch (SocketException e)
        {
            _failure = Connector.Name(e.SocketErrorCode);
            return false;
        }
        catch (OperationCanceledException)
        {
            if (_udp)
            {
                GiveUp(question);
            }

            _failure = _udp ? "" : $"silent for {_patience.TotalSeconds:0.#} s";
            return false;
        }
    }

    private void GiveUp(ReadOnlySpan<byte> question)
    {
        _givenUp.Add(BinaryPrimitives.ReadInt64BigEndian(question));
        Volatile.Write(ref _lost, _givenUp.Count);
    }

    private async Task<bool> ReadBlockAsync(Socket socket, byte[] question, byte[] answer, CancellationToken cancel)
    {
        for (int length = 0; length < BlockBytes;)
        {
            int read = await socket.ReceiveAsync(answer.AsMemory(length, BlockBytes - length), cancel);
            if (read == 0)
            {
                _failure = "closed by the server";
                return false;
            }

            length += read;
        }

        _failure = question.AsSpan().SequenceEqual(answer.AsSpan(0, BlockBytes)) ? "" : "wrong bytes";
        return _failure.Length == 0;
    }

    private async Task<bool> ReadDatagramAsync(Socket socket, byte[] question, byte[] answer, CancellationToken cancel)
    {
        while (true)
        {
            int length = await socket.ReceiveAsync(answer, cancel);
            int line = answer.AsSpan(0, length).IndexOf((byte)'\n') + 1;
            ReadOnlySpan<byte> bytes = answer.AsSpan(line, length - line);
            if (bytes.SequenceEqual(question))
            {
                Volatile.Write(ref _answer, Connector.Parse(answer.AsSpan(0, line)));
                return true;
            }

            // The answer to a question that was given up: late, not lost.
            if (_givenUp.Count > 0 && bytes.Length == BlockBytes && _givenUp.Remove(BinaryPrimitives.ReadInt64BigEndian(bytes)))
            {
                Volatile.Write(ref _lost, _givenUp.Count);
            }
        }
    }
}
