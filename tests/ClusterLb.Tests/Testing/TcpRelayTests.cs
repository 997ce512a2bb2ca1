using System.Net;
using System.Net.Sockets;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.Tests.Testing;

public sealed class TcpRelayTests : IAsyncLifetime
{
    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private TcpRelay _relay = null!;

    public Task InitializeAsync()
    {
        _server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _server.Listen();
        _relay = TcpRelay.OnLoopback((IPEndPoint)_server.LocalEndPoint!);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _relay.DisposeAsync();
        _server.Dispose();
    }

    [Fact]
    public async Task Bytes_go_both_ways_and_an_end_is_told()
    {
        (Socket client, Socket peer) = await ConnectAsync();
        await client.SendAsync("question"u8.ToArray());
        Assert.Equal("question", await ReadAsync(peer, 8));
        await peer.SendAsync("answer"u8.ToArray());
        Assert.Equal("answer", await ReadAsync(client, 6));

        peer.Shutdown(SocketShutdown.Send);

        Assert.Equal("", await ReadAsync(client, 1));
        client.Dispose();
        peer.Dispose();
    }

    [Fact]
    public async Task A_cut_after_some_bytes_lets_exactly_those_through()
    {
        (Socket client, Socket peer) = await ConnectAsync();
        _relay.CutAfter(3);
        await peer.SendAsync("answer"u8.ToArray());

        Assert.Equal("ans", await ReadAsync(client, 6));
        client.Dispose();
        peer.Dispose();
    }

    [Fact]
    public async Task What_stalls_comes_later()
    {
        (Socket client, Socket peer) = await ConnectAsync();
        _relay.Stall();
        await peer.SendAsync("answer"u8.ToArray());
        Task<string> reading = ReadAsync(client, 6);
        Assert.False(reading.IsCompleted);

        _relay.Resume();

        Assert.Equal("answer", await reading);
        client.Dispose();
        peer.Dispose();
    }

    [Fact]
    public async Task While_it_refuses_connections_break_at_once()
    {
        (Socket client, Socket peer) = await ConnectAsync();
        _relay.Refuse();
        Assert.Equal("", await ReadAsync(client, 1));

        Assert.False(await IsAnsweredAsync());
        _relay.Accept();
        (Socket third, Socket thirdPeer) = await ConnectAsync();
        await thirdPeer.SendAsync("answer"u8.ToArray());
        Assert.Equal("answer", await ReadAsync(third, 6));
        foreach (Socket socket in (Socket[])[client, peer, third, thirdPeer])
        {
            socket.Dispose();
        }
    }

    private async Task<(Socket Client, Socket Peer)> ConnectAsync()
    {
        Task<Socket> accepting = _server.AcceptAsync();
        Socket client = await DialAsync();
        return (client, await accepting);
    }

    /// <summary>False if a connection breaks while it is made, or before the first byte.</summary>
    private async Task<bool> IsAnsweredAsync()
    {
        try
        {
            using Socket client = await DialAsync();
            return (await ReadAsync(client, 1)).Length > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private async Task<Socket> DialAsync()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(_relay.EndPoint);
        return client;
    }

    /// <summary>This many bytes, or what came before the connection ended or broke.</summary>
    private static async Task<string> ReadAsync(Socket socket, int bytes)
    {
        byte[] buffer = new byte[bytes];
        int length = 0;
        try
        {
            while (length < bytes && await socket.ReceiveAsync(buffer.AsMemory(length)) is > 0 and int read)
            {
                length += read;
            }
        }
        catch (SocketException)
        {
            // broken: what came before counts
        }

        return System.Text.Encoding.ASCII.GetString(buffer, 0, length);
    }
}
