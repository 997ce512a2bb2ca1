using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Client;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Pings as the program of that name sends them.</summary>
internal static class Ping
{
    /// <summary>Sends one echo request and waits for the same bytes.</summary>
    /// <param name="target">The port does not matter.</param>
    /// <param name="bytes">Of data.</param>
    /// <param name="patience">How long to wait.</param>
    public static async Task<bool> IsAnsweredAsync(TrafficTarget target, int bytes, TimeSpan patience)
    {
        bool ipv6 = target.Address.AddressFamily == AddressFamily.InterNetworkV6;
        using Socket socket = target.From!.OpenSocket(
            target.Address.AddressFamily, SocketType.Raw, ipv6 ? ProtocolType.IcmpV6 : ProtocolType.Icmp);
        byte[] message = new byte[8 + bytes];
        new Random(bytes).NextBytes(message.AsSpan(4)); // identifier, sequence and data
        message[0] = ipv6 ? (byte)128 : (byte)8;
        if (!ipv6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), (ushort)~ReferenceChecksum.Sum(0, message));
        }

        await socket.SendToAsync(message, new IPEndPoint(target.Address.Address, 0));
        byte[] buffer = new byte[65_536];
        using var limit = new CancellationTokenSource(patience);
        try
        {
            while (true)
            {
                SocketReceiveFromResult got = await socket.ReceiveFromAsync(buffer, new IPEndPoint(ipv6 ? IPAddress.IPv6Any : IPAddress.Any, 0), limit.Token);
                byte[] answer = buffer[(ipv6 ? 0 : 20)..got.ReceivedBytes]; // a raw IPv4 socket shows the IP header
                bool isReply = answer.Length == message.Length && answer[0] == (ipv6 ? 129 : 0) && answer.AsSpan(4).SequenceEqual(message.AsSpan(4));
                if (isReply && ((IPEndPoint)got.RemoteEndPoint).Address.Equals(target.Address.Address))
                {
                    return true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
