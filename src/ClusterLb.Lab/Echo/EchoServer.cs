using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Echo;

/// <summary>
/// The server in every pod: HTTP on <see cref="LabPod.HttpPort"/>, TCP and UDP echo on <see cref="LabPod.EchoPort"/>; all
/// say who answers and which client address they see.
/// </summary>
/// <param name="pod">Name to answer with.</param>
/// <param name="node">Node to answer with.</param>
/// <param name="addresses">Where to listen.</param>
/// <param name="openSocket">Makes sockets: in the pod's namespace, if that is not this process's own.</param>
public sealed class EchoServer(
    string pod, string node, IReadOnlyList<IPAddress> addresses,
    Func<AddressFamily, SocketType, ProtocolType, Socket> openSocket) : IDisposable
{
    private const int Backlog = 4096;
    private const int LongestDatagram = 65_536;
    private const int BufferBytes = 65_536;

    private readonly List<Socket> _sockets = [];

    /// <summary>Listens on all ports and serves in the background until <see cref="Dispose"/>.</summary>
    /// <exception cref="LabException">A port is taken or an address is not this host's.</exception>
    public void Start()
    {
        foreach (IPAddress address in addresses)
        {
            _ = AcceptAsync(Listen(address, LabPod.HttpPort), AnswerHttpAsync);
            _ = AcceptAsync(Listen(address, LabPod.EchoPort), EchoTcpAsync);
            _ = EchoUdpAsync(Open(address, LabPod.EchoPort, SocketType.Dgram, ProtocolType.Udp));
        }
    }

    /// <summary>Stops listening; connections that are open go on until their clients close them.</summary>
    public void Dispose()
    {
        foreach (Socket socket in _sockets)
        {
            socket.Dispose();
        }
    }

    private Socket Listen(IPAddress address, int port)
    {
        Socket socket = Open(address, port, SocketType.Stream, ProtocolType.Tcp);
        socket.Listen(Backlog);
        return socket;
    }

    private Socket Open(IPAddress address, int port, SocketType type, ProtocolType protocol)
    {
        Socket socket = openSocket(address.AddressFamily, type, protocol);
        _sockets.Add(socket);
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            socket.DualMode = false;
        }

        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, optionValue: true);
            socket.Bind(new IPEndPoint(address, port));
            return socket;
        }
        catch (SocketException e)
        {
            throw new LabException($"{pod} cannot listen on {new IPEndPoint(address, port)} ({protocol}): {e.Message}.", e);
        }
    }

    private static async Task AcceptAsync(Socket listener, Func<Socket, Task> serve)
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await listener.AcceptAsync();
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                return; // Dispose
            }
            catch (SocketException)
            {
                continue; // this client is gone already (ECONNABORTED)
            }

            _ = ServeAsync(client, serve);
        }
    }

    private static async Task ServeAsync(Socket client, Func<Socket, Task> serve)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                await serve(client);
            }
            catch (SocketException)
            {
                // The client broke off: its own business, and what tests of resets do.
            }
        }
    }

    private async Task AnswerHttpAsync(Socket client)
    {
        byte[] buffer = new byte[4096];
        int length = 0;
        while (buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0)
        {
            int read = length < buffer.Length ? await client.ReceiveAsync(buffer.AsMemory(length)) : 0;
            if (read == 0)
            {
                return;
            }

            length += read;
        }

        byte[] body = Answer(client.RemoteEndPoint!, client.LocalEndPoint!, "http");
        string head = $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n";
        await SendAllAsync(client, (byte[])[.. Encoding.ASCII.GetBytes(head), .. body]);
        client.Shutdown(SocketShutdown.Send);
        _ = await client.ReceiveAsync(buffer); // the client closes first and so keeps TIME_WAIT, as with a keep-alive server
    }

    private async Task EchoTcpAsync(Socket client)
    {
        await SendAllAsync(client, Answer(client.RemoteEndPoint!, client.LocalEndPoint!, "tcp"));
        byte[] buffer = new byte[BufferBytes];
        while (await client.ReceiveAsync(buffer) is var read and > 0)
        {
            await SendAllAsync(client, buffer.AsMemory(0, read));
        }
    }

    private async Task EchoUdpAsync(Socket socket)
    {
        byte[] buffer = new byte[LongestDatagram];
        EndPoint any = new IPEndPoint(
            socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (true)
        {
            try
            {
                SocketReceiveFromResult got = await socket.ReceiveFromAsync(buffer, any);
                byte[] line = Answer(got.RemoteEndPoint, socket.LocalEndPoint!, "udp");
                int payload = Math.Min(got.ReceivedBytes, LongestDatagram - 29 - line.Length); // fits one datagram again
                await socket.SendToAsync((byte[])[.. line, .. buffer.AsSpan(0, Math.Max(0, payload))], got.RemoteEndPoint);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
            {
                return;
            }
            catch (SocketException)
            {
                // An ICMP error about an earlier answer: the client is gone.
            }
        }
    }

    private byte[] Answer(EndPoint client, EndPoint server, string protocol) =>
        [.. JsonSerializer.SerializeToUtf8Bytes(
            new EchoAnswer(pod, node, client.ToString()!, server.ToString()!, protocol), LabJson.Default.EchoAnswer), (byte)'\n'];

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes)..];
        }
    }
}
