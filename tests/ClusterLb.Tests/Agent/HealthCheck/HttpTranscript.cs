using System.Net;
using System.Net.Sockets;
using System.Text;
using ClusterLb.Tests.House;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>Requests and whole answers in a file, written down from kube-proxy, against a server of ours.</summary>
/// <remarks>
/// Blocks are parted by ----. The first line is the request, the rest the answer, byte for byte but for the time of Date and the order
/// of the headers, which means nothing (RFC 9110, section 5.3). A file that leaves Content-Length out says nothing about it.
/// </remarks>
internal static class HttpTranscript
{
    private const string Folder = "tests/ClusterLb.Tests/Agent/HealthCheck/Transcripts";

    /// <summary>Asks every question of a file and compares.</summary>
    public static async Task CheckAsync(string file, IPEndPoint server)
    {
        foreach (string block in Repository.Read($"{Folder}/{file}.http").Split("\n----\n"))
        {
            (string request, string want) = Cut(block, "\n");
            string got = await AskAsync(server, request);
            Assert.Equal(Normal(want, want), Normal(got, want));
        }
    }

    /// <summary>The raw answer to one request.</summary>
    public static async Task<string> AskAsync(IPEndPoint server, string request)
    {
        using var client = new TcpClient(server.AddressFamily);
        await client.ConnectAsync(server);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"{request} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"));
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer);
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private static string Normal(string answer, string want)
    {
        bool hasLength = want.Contains("\nContent-Length:", StringComparison.Ordinal);
        (string head, string body) = Cut(answer.Replace("\r\n", "\n", StringComparison.Ordinal), "\n\n");
        string[] lines = head.TrimEnd('\n').Split('\n');
        IEnumerable<string> headers = lines.Skip(1)
            .Where(line => line != "Connection: close" && (hasLength || !line.StartsWith("Content-Length:", StringComparison.Ordinal)))
            .Select(line => line.StartsWith("Date: ", StringComparison.Ordinal) ? "Date: *" : line).Order(StringComparer.Ordinal);
        string end = want.EndsWith("}\n", StringComparison.Ordinal) ? body.TrimEnd('\n') : body; // the newline that ends the file
        return $"{lines[0]}\n{string.Join('\n', headers)}\n\n{end}";
    }

    private static (string Before, string After) Cut(string text, string separator)
    {
        int at = text.IndexOf(separator, StringComparison.Ordinal);
        return at < 0 ? (text, "") : (text[..at], text[(at + separator.Length)..]);
    }
}
