using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ClusterLb.ClusterRun.Changes;

/// <summary>A connection that lasts: HTTP/1.1 requests one after the other, each answer checked.</summary>
internal sealed class LongConnection(Socket socket) : IDisposable
{
    private readonly byte[] _buffer = new byte[4096];
    private int _number;

    /// <summary>Which pod is at the other end; empty until it said so.</summary>
    public string Pod { get; private set; } = "";

    /// <summary>Dials, and asks the pod's name.</summary>
    /// <exception cref="SocketException">Refused, reset…</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    /// <exception cref="IOException">The answer is none.</exception>
    public async Task OpenAsync(IPEndPoint to, TimeSpan timeout)
    {
        using var limit = new CancellationTokenSource(timeout);
        await socket.ConnectAsync(to, limit.Token);
        Pod = await AskAsync("/hostname", limit.Token);
    }

    /// <summary>Sends a message that no other was, and has it echoed.</summary>
    /// <returns>How long that took.</returns>
    /// <exception cref="SocketException">Reset…</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    /// <exception cref="IOException">It was closed, or the echo is not what was sent.</exception>
    public async Task<TimeSpan> EchoAsync(TimeSpan timeout)
    {
        using var limit = new CancellationTokenSource(timeout);
        long started = Stopwatch.GetTimestamp();
        string message = $"{Pod}-{(_number++).ToString(CultureInfo.InvariantCulture)}";
        string echo = await AskAsync("/echo?msg=" + message, limit.Token);
        return echo == message ? Stopwatch.GetElapsedTime(started) : throw new IOException("a wrong echo");
    }

    public void Dispose() => socket.Dispose();

    private async Task<string> AskAsync(string path, CancellationToken cancel)
    {
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: web\r\n\r\n"), cancel);
        var text = new StringBuilder();
        while (true)
        {
            int length = await socket.ReceiveAsync(_buffer, cancel);
            if (length == 0)
            {
                throw new IOException("closed");
            }

            text.Append(Encoding.ASCII.GetString(_buffer, 0, length));
            if (BodyOf(text.ToString()) is { } body)
            {
                return body;
            }
        }
    }

    // Null until all of it is here.
    private static string? BodyOf(string answer)
    {
        const string Field = "Content-Length: ";
        string[] parts = answer.Split("\r\n\r\n", 2);
        if (parts.Length < 2)
        {
            return null;
        }

        int at = parts[0].IndexOf(Field, StringComparison.OrdinalIgnoreCase);
        string length = at < 0 ? "" : parts[0][(at + Field.Length)..].Split("\r\n")[0];
        return !int.TryParse(length, CultureInfo.InvariantCulture, out int bytes) ? throw new IOException("an answer without a length")
            : parts[1].Length < bytes ? null : parts[1];
    }
}
