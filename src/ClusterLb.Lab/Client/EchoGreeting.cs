using System.Net.Sockets;
using ClusterLb.Lab.Echo;

namespace ClusterLb.Lab.Client;

/// <summary>The line with which the TCP echo server opens.</summary>
/// <param name="Answer">What it says.</param>
internal sealed record EchoGreeting(EchoAnswer Answer)
{
    private const int LongestLine = 1024;

    /// <summary>Nothing was said yet.</summary>
    public static EchoGreeting None { get; } = new(new EchoAnswer("", "", "", "", "tcp"));

    /// <summary>Reads the line; the server says nothing more before it is asked, so nothing behind it is lost.</summary>
    public static async Task<EchoGreeting> ReadAsync(Socket socket, CancellationToken cancel)
    {
        byte[] buffer = new byte[LongestLine];
        int length = 0;
        while (buffer.AsSpan(0, length).IndexOf((byte)'\n') < 0 && length < buffer.Length)
        {
            int read = await socket.ReceiveAsync(buffer.AsMemory(length), cancel);
            if (read == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            length += read;
        }

        return new EchoGreeting(Connector.Parse(buffer.AsSpan(0, length)));
    }
}
