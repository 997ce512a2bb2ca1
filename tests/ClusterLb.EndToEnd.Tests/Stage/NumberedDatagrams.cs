using System.Buffers.Binary;
using System.Collections;
using System.Diagnostics;
using System.Net.Sockets;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Numbered datagrams to an echo server at a steady pace, whether they are answered or not: so each one that is lost is counted.</summary>
internal sealed class NumberedDatagrams : IAsyncDisposable
{
    private const int PayloadBytes = 64;
    private const int SolSocket = 1;
    private const int ReceiveBufferForce = 33; // SO_RCVBUFFORCE: answers that come in one burst must not be lost here
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10); // for seconds without a dataplane the queues of a device hold them
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _end = new();
    private readonly Socket _socket;
    private readonly Task _sending;
    private readonly Task _receiving;
    private readonly BitArray _answered = new(1 << 20);
    private long _sent;
    private long _answers;

    private NumberedDatagrams(Socket socket)
    {
        _socket = socket;
        _socket.SetRawSocketOption(SolSocket, ReceiveBufferForce, BitConverter.GetBytes(4 << 20));
        _receiving = Task.Run(ReceiveAsync);
        _sending = Task.Run(SendAsync);
    }

    /// <summary>Datagrams sent so far.</summary>
    public long Sent => Volatile.Read(ref _sent);

    /// <summary>Begins.</summary>
    public static async Task<NumberedDatagrams> StartAsync(TrafficTarget target)
    {
        Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(target.Address);
        return new NumberedDatagrams(socket);
    }

    /// <summary>Ends, and waits for the answers that are on their way.</summary>
    /// <returns>Datagrams without an answer.</returns>
    public async Task<long> StopAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        long begun = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _answers) < Sent && Stopwatch.GetElapsedTime(begun) < Patience)
        {
            await Task.Delay(Pause);
        }

        return Sent - Volatile.Read(ref _answers);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        await _end.CancelAsync();
        await _receiving;
        _socket.Dispose();
        _stop.Dispose();
        _end.Dispose();
    }

    private async Task SendAsync()
    {
        byte[] payload = new byte[PayloadBytes];
        while (!_stop.IsCancellationRequested && _sent < _answered.Length)
        {
            BinaryPrimitives.WriteInt64BigEndian(payload, _sent);
            try
            {
                await _socket.SendAsync(payload);
            }
            catch (SocketException)
            {
                // An ICMP error for an earlier one: that is missing already, and this one was not sent. It counts, too.
            }

            Volatile.Write(ref _sent, _sent + 1);
            await Task.Delay(Pause);
        }
    }

    private async Task ReceiveAsync()
    {
        byte[] buffer = new byte[2048];
        while (true)
        {
            int length;
            try
            {
                length = await _socket.ReceiveAsync(buffer, _end.Token);
            }
            catch (SocketException)
            {
                continue;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            // A line that tells who answers, then what was sent.
            int number = (int)BinaryPrimitives.ReadInt64BigEndian(buffer.AsSpan(length - PayloadBytes));
            if (!_answered[number]) // the network may double one
            {
                _answered[number] = true;
                Volatile.Write(ref _answers, _answers + 1);
            }
        }
    }
}
