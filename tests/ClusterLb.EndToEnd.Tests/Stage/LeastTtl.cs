using System.Net.Sockets;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>How many hops away somebody is who answers datagrams.</summary>
internal static class LeastTtl
{
    /// <summary>The smallest TTL with which a datagram is answered.</summary>
    public static async Task<int> OfAsync(TrafficTarget target)
    {
        for (short ttl = 1; ttl < 8; ttl++)
        {
            if (await AskAsync(target, ttl))
            {
                return ttl;
            }
        }

        return -1;
    }

    /// <returns>True if answered, false if a router says that the time is exceeded. One of the two must happen: nothing is waited out.</returns>
    private static async Task<bool> AskAsync(TrafficTarget target, short ttl)
    {
        const int ReceiveErrors4 = 11; // IP_RECVERR, of IPPROTO_IP
        const int ReceiveErrors6 = 25; // IPV6_RECVERR, of IPPROTO_IPV6
        bool ipv6 = target.Address.AddressFamily == AddressFamily.InterNetworkV6;
        using Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Ttl = ttl;

        // Without it, a socket is not told of errors that may pass.
        socket.SetRawSocketOption(ipv6 ? 41 : 0, ipv6 ? ReceiveErrors6 : ReceiveErrors4, BitConverter.GetBytes(1));
        await socket.ConnectAsync(target.Address);
        await socket.SendAsync("?"u8.ToArray());
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            await socket.ReceiveAsync(new byte[2048], limit.Token);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.HostUnreachable)
        {
            return false;
        }
    }
}
