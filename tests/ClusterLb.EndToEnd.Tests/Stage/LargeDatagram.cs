using System.Net.Sockets;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A datagram that fits no link, to a UDP echo server and back; every byte checked.</summary>
internal static class LargeDatagram
{
    private const int Attempts = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <returns>Empty, or what went wrong. A datagram may be lost, a machine under load does that; five in a row are not.</returns>
    public static async Task<string> ExchangeAsync(TrafficTarget target, int bytes)
    {
        using Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(target.Address);
        byte[] question = new byte[bytes];
        byte[] buffer = new byte[65_536];
        string problem = "";
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            new Random(attempt).NextBytes(question);
            using var limit = new CancellationTokenSource(Patience);
            try
            {
                await socket.SendAsync(question, limit.Token);
                while (true)
                {
                    // Before its first newline the server says who it is; an answer to an earlier attempt may still come.
                    int length = await socket.ReceiveAsync(buffer, limit.Token);
                    int line = buffer.AsSpan(0, length).IndexOf((byte)'\n') + 1;
                    if (buffer.AsSpan(line, length - line).SequenceEqual(question))
                    {
                        return "";
                    }

                    problem = $"{length - line} other bytes came back";
                }
            }
            catch (OperationCanceledException)
            {
                problem += $" no answer to {bytes} bytes within {Patience.TotalSeconds} s";
            }
            catch (SocketException e)
            {
                problem += $" {e.SocketErrorCode}";
            }
        }

        return problem;
    }
}
