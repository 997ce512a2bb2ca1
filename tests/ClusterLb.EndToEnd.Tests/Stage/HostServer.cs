using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A program of a node that has a TCP and a UDP port: connections and datagrams to it are none of ClusterLb's business.</summary>
internal sealed class HostServer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket _listener;
    private readonly Socket _udp;
    private readonly List<Socket> _accepted = [];

    /// <summary>Listens at this address of the node.</summary>
    public HostServer(NetworkNamespace node, IPEndPoint at)
    {
        _listener = node.OpenSocket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(at);
        _listener.Listen();
        _udp = node.OpenSocket(at.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        _udp.Bind(at);
    }

    /// <summary>A connection that this program has accepted.</summary>
    public async Task<Socket> ConnectAsync(TrafficTarget target)
    {
        Socket client = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(target.Address).WaitAsync(Patience);
        _accepted.Add(await _listener.AcceptAsync().WaitAsync(Patience));
        return client;
    }

    /// <summary>A question that arrives here, and an answer that arrives there: over the latest connection, or by datagrams.</summary>
    public async Task ExchangeAsync(Socket client)
    {
        using var limit = new CancellationTokenSource(Patience);
        byte[] buffer = new byte[64];
        await client.SendAsync("hello"u8.ToArray(), limit.Token);
        if (client.ProtocolType == ProtocolType.Tcp)
        {
            Assert.Equal(5, await _accepted[^1].ReceiveAsync(buffer, limit.Token));
            await _accepted[^1].SendAsync("welcome"u8.ToArray(), limit.Token);
        }
        else
        {
            SocketReceiveFromResult asked = await _udp.ReceiveFromAsync(buffer, _udp.LocalEndPoint!, limit.Token);
            Assert.Equal(5, asked.ReceivedBytes);
            await _udp.SendToAsync("welcome"u8.ToArray(), asked.RemoteEndPoint, limit.Token);
        }

        Assert.Equal(7, await client.ReceiveAsync(buffer, limit.Token));
    }

    public void Dispose()
    {
        _listener.Dispose();
        _udp.Dispose();
        _accepted.ForEach(socket => socket.Dispose());
    }
}
