using System.Diagnostics;
using System.Net.Sockets;

namespace ClusterLb.Lab.Client;

/// <summary>Sends much and reads it back at the same time: both directions busy, every byte checked.</summary>
public static class BulkTransfer
{
    private const int BlockBytes = 65_536;

    /// <summary>Transfers <paramref name="bytes"/> in each direction over one TCP connection to an echo port.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="bytes">Bytes in each direction.</param>
    /// <param name="timeout">For all of it.</param>
    /// <param name="cancel">Ends it with an exception.</param>
    public static async Task<StreamReport> RunAsync(
        TrafficTarget target, long bytes, TimeSpan timeout, CancellationToken cancel = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(timeout);
        long started = Stopwatch.GetTimestamp();
        long back = 0;
        EchoGreeting greeting = EchoGreeting.None;
        string failure = "";
        try
        {
            using Socket socket = await target.ConnectTcpAsync(limit.Token);
            greeting = await EchoGreeting.ReadAsync(socket, limit.Token);
            var pattern = new Pattern(seed: 4);
            Task sending = SendAsync(socket, pattern, bytes, limit.Token);
            byte[] buffer = new byte[BlockBytes];
            while (back < bytes && failure.Length == 0)
            {
                int read = await socket.ReceiveAsync(buffer, limit.Token);
                failure = read == 0 ? "closed early" : pattern.Matches(buffer.AsSpan(0, read), back) ? "" : $"wrong bytes after {back}";
                back += failure.Length == 0 ? read : 0;
            }

            if (failure.Length == 0)
            {
                await sending;
            }
        }
        catch (SocketException e)
        {
            failure = Connector.Name(e.SocketErrorCode);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            failure = $"timeout after {back} of {bytes} bytes";
        }

        double elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new StreamReport(greeting.Answer.Pod, greeting.Answer.Client, back, 0, 0, 0, elapsed, failure);
    }

    private static async Task SendAsync(Socket socket, Pattern pattern, long bytes, CancellationToken cancel)
    {
        byte[] buffer = new byte[BlockBytes];
        for (long sent = 0; sent < bytes;)
        {
            int length = (int)Math.Min(BlockBytes, bytes - sent);
            pattern.Fill(buffer.AsSpan(0, length), sent);
            sent += await socket.SendAsync(buffer.AsMemory(0, length), cancel);
        }
    }
}
