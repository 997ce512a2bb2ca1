using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Client;

/// <summary>Dials an echo server once, or many times, and tells who answered.</summary>
public static class Connector
{
    private static readonly byte[] Request = Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n");

    /// <summary>One connection, or one datagram. Failures are results, not exceptions.</summary>
    public static async Task<Attempt> OnceAsync(
        TrafficTarget target, ConnectProtocol protocol, TimeSpan timeout, CancellationToken cancel = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(timeout);
        long started = Stopwatch.GetTimestamp();
        string local = "";
        try
        {
            using Socket socket = protocol == ConnectProtocol.Udp
                ? await target.ConnectUdpAsync(limit.Token)
                : await target.ConnectTcpAsync(limit.Token);
            local = socket.LocalEndPoint!.ToString()!;
            byte[] answer = protocol == ConnectProtocol.Udp
                ? await AskUdpAsync(socket, limit.Token)
                : await AskTcpAsync(socket, protocol, limit.Token);
            return new Attempt(Parse(answer), "", Stopwatch.GetElapsedTime(started), local);
        }
        catch (SocketException e)
        {
            return new Attempt(null, Name(e.SocketErrorCode), Stopwatch.GetElapsedTime(started), local);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new Attempt(null, "timeout", Stopwatch.GetElapsedTime(started), local);
        }
        catch (JsonException)
        {
            return new Attempt(null, "garbled answer", Stopwatch.GetElapsedTime(started), local);
        }
    }

    /// <summary>Many connections, a few at a time.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="protocol">How.</param>
    /// <param name="count">Connections in all.</param>
    /// <param name="concurrency">At the same time, at most.</param>
    /// <param name="timeout">For each.</param>
    /// <param name="cancel">Ends it with an exception.</param>
    public static async Task<ConnectReport> RunAsync(
        TrafficTarget target, ConnectProtocol protocol, int count, int concurrency, TimeSpan timeout, CancellationToken cancel = default)
    {
        var attempts = new Attempt[count];
        long started = Stopwatch.GetTimestamp();
        int next = -1;
        async Task OneAfterTheOther()
        {
            while (Interlocked.Increment(ref next) is var mine && mine < count)
            {
                attempts[mine] = await OnceAsync(target, protocol, timeout, cancel);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Min(concurrency, count)).Select(_ => OneAfterTheOther()));
        return ConnectReport.Of(target.Address.ToString(), protocol, attempts, Stopwatch.GetElapsedTime(started));
    }

    private static async Task<byte[]> AskUdpAsync(Socket socket, CancellationToken cancel)
    {
        byte[] buffer = new byte[2048];
        await socket.SendAsync("?"u8.ToArray(), cancel);
        int length = await socket.ReceiveAsync(buffer, cancel);
        return buffer[..length];
    }

    private static async Task<byte[]> AskTcpAsync(Socket socket, ConnectProtocol protocol, CancellationToken cancel)
    {
        if (protocol == ConnectProtocol.Http)
        {
            await socket.SendAsync(Request, cancel);
        }

        byte[] buffer = new byte[4096];
        int length = 0;
        // HTTP: until the server closes. Echo: until the end of its first line.
        while (protocol == ConnectProtocol.Http || buffer.AsSpan(0, length).IndexOf((byte)'\n') < 0)
        {
            int read = await socket.ReceiveAsync(buffer.AsMemory(length), cancel);
            if (read == 0)
            {
                break;
            }

            length += read;
        }

        return buffer[..length];
    }

    internal static EchoAnswer Parse(ReadOnlySpan<byte> answer)
    {
        int start = answer.IndexOf((byte)'{');
        int end = start < 0 ? -1 : answer[start..].IndexOf((byte)'}');
        return end < 0
            ? throw new JsonException("no object in the answer")
            : JsonSerializer.Deserialize(answer.Slice(start, end + 1), LabJson.Default.EchoAnswer)!;
    }

    internal static string Name(SocketError error) => error switch
    {
        SocketError.ConnectionRefused => "refused",
        SocketError.ConnectionReset => "reset",
        SocketError.TimedOut => "timeout",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown => "unreachable",
        _ => error.ToString(),
    };
}
