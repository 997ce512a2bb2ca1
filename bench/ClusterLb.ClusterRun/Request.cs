using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>One HTTP request on a connection of its own, and one name resolved, from any network namespace.</summary>
internal static class Request
{
    /// <summary>GET; the body, or why there is none: refused, timeout, reset…</summary>
    public static async Task<Answer> GetAsync(NetworkNamespace from, IPEndPoint to, string path, TimeSpan timeout)
    {
        Answer answer = await FetchAsync(from, to, path, timeout);
        if (answer.Failure.Length > 0)
        {
            return answer;
        }

        string[] parts = answer.Body.Split("\r\n\r\n", 2);
        return parts.Length == 2 && parts[0].Contains(" 200 ", StringComparison.Ordinal)
            ? answer with { Body = parts[1] }
            : answer with { Body = "", Failure = answer.Body.Length == 0 ? "closed" : "HTTP error" };
    }

    /// <summary>GET; status line, headers and body, whatever the status is, or why there is no answer.</summary>
    public static async Task<Answer> FetchAsync(NetworkNamespace from, IPEndPoint to, string path, TimeSpan timeout)
    {
        long started = Stopwatch.GetTimestamp();
        using var limit = new CancellationTokenSource(timeout);
        using Socket socket = from.OpenSocket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(to, limit.Token);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.0\r\nHost: web\r\n\r\n"), limit.Token);
            var text = new StringBuilder();
            byte[] buffer = new byte[4096];
            while (await socket.ReceiveAsync(buffer, limit.Token) is > 0 and int length)
            {
                text.Append(Encoding.ASCII.GetString(buffer, 0, length));
            }

            return new Answer(text.ToString(), "", Stopwatch.GetElapsedTime(started));
        }
        catch (SocketException e)
        {
            return new Answer("", NameOf(e.SocketErrorCode), Stopwatch.GetElapsedTime(started));
        }
        catch (OperationCanceledException)
        {
            return new Answer("", "timeout", Stopwatch.GetElapsedTime(started));
        }
    }

    /// <summary>One UDP datagram on a connected socket, and the answer to it.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="question">The datagram.</param>
    /// <param name="timeout">For the answer.</param>
    /// <param name="isAnswer">What else arrives is thrown away: a late answer to another question. Default: the first one is it.</param>
    public static async Task<Answer> AskAsync(Socket socket, byte[] question, TimeSpan timeout, Func<string, bool>? isAnswer = null)
    {
        long started = Stopwatch.GetTimestamp();
        using var limit = new CancellationTokenSource(timeout);
        byte[] buffer = new byte[2048];
        try
        {
            await socket.SendAsync(question, limit.Token);
            while (true)
            {
                string text = Encoding.Latin1.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token));
                if (isAnswer is null || isAnswer(text))
                {
                    return new Answer(text, "", Stopwatch.GetElapsedTime(started));
                }
            }
        }
        catch (SocketException e)
        {
            return new Answer("", NameOf(e.SocketErrorCode), Stopwatch.GetElapsedTime(started));
        }
        catch (OperationCanceledException)
        {
            return new Answer("", "timeout", Stopwatch.GetElapsedTime(started));
        }
    }

    /// <summary>The A record of a name, asked of one server from a new port; null and why not in the answer's failure.</summary>
    public static async Task<(IPAddress? Address, Answer Answer)> ResolveAsync(NetworkNamespace from, IPEndPoint server, string name, TimeSpan timeout)
    {
        using Socket socket = from.OpenSocket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            await socket.ConnectAsync(server);
        }
        catch (SocketException e)
        {
            return (null, new Answer("", "DNS " + NameOf(e.SocketErrorCode), TimeSpan.Zero));
        }

        Answer answer = await AskAsync(socket, Question(name), timeout);
        if (answer.Failure.Length > 0)
        {
            return (null, answer with { Failure = "DNS " + answer.Failure });
        }

        // RFC 1035, section 4.1: the last four bytes are the address, if the only answer is an A record and nothing follows.
        byte[] bytes = Encoding.Latin1.GetBytes(answer.Body);
        bool found = (bytes[3] & 0xf) == 0 && BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(6)) == 1
            && BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(8)) == 0;
        return found ? (new IPAddress(bytes.AsSpan(^4..)), answer) : (null, answer with { Failure = "DNS no such name" });
    }

    private static byte[] Question(string name)
    {
        using var bytes = new MemoryStream();
        Span<byte> id = stackalloc byte[2];
        Random.Shared.NextBytes(id);
        bytes.Write(id);
        bytes.Write([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]); // recursion desired; one question
        foreach (string label in name.Split('.'))
        {
            bytes.WriteByte((byte)label.Length);
            bytes.Write(Encoding.ASCII.GetBytes(label));
        }

        bytes.Write([0, 0, 1, 0, 1]); // end of name; A, IN
        return bytes.ToArray();
    }

    private static string NameOf(SocketError error) => error switch
    {
        SocketError.ConnectionRefused => "refused",
        SocketError.ConnectionReset => "reset",
        SocketError.TimedOut => "timeout",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "unreachable",
        _ => error.ToString(),
    };
}
