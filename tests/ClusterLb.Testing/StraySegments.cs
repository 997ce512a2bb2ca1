using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Testing;

/// <summary>Segments in a server's name that are far out of the window of one of its connections, but acknowledge exactly what the client sent.</summary>
/// <remarks>
/// The kernel's connection tracking calls them invalid. One that comes to the client with an address that it does not know is answered by a
/// reset with the acknowledged number, which the server believes: the connection is lost (kubernetes/kubernetes#74839).
/// </remarks>
public sealed class StraySegments
{
    private const int HeaderLength = 20;
    private readonly Socket _raw;
    private readonly IPEndPoint _server;
    private readonly IPEndPoint _client;
    private uint _clientNext;
    private uint _serverNext;

    /// <param name="raw">A raw TCP socket of the server's network, open since before the client said something.</param>
    /// <param name="server">The server's end of the connection.</param>
    /// <param name="client">The other end, as the server sees it.</param>
    public StraySegments(Socket raw, IPEndPoint server, IPEndPoint client)
    {
        _raw = raw;
        _server = server;
        _client = client;
    }

    /// <summary>Sends some, ahead of the window and behind it, while the connection is silent.</summary>
    /// <exception cref="InvalidOperationException">The client has said nothing yet.</exception>
    public async Task SendAsync()
    {
        ReadNumbers();
        int headerBytes = _client.AddressFamily == AddressFamily.InterNetwork ? 20 : 40; // the kernel writes its own
        foreach (uint distance in (uint[])[0x1000_0000, 0x2000_0000, 0x4000_0000, 0x7000_0000, 0xa000_0000, 0xe000_0000])
        {
            byte[] packet = Packet.Tcp(_server.ToString(), _client.ToString()).Numbers(_serverNext + distance, _clientNext)
                .Flags(TcpFlags.Ack).Payload("out of the window").ToBytes();
            await _raw.SendToAsync(packet.AsMemory(headerBytes), new IPEndPoint(_client.Address, 0));
            await Task.Delay(50); // a reset, if there is one, comes before the next
        }
    }

    private void ReadNumbers()
    {
        bool isKnown = false;
        byte[] buffer = new byte[65536];
        while (_raw.Available > 0)
        {
            Span<byte> tcp = buffer.AsSpan(0, _raw.Receive(buffer));
            tcp = _client.AddressFamily == AddressFamily.InterNetwork ? tcp[((tcp[0] & 0xf) * 4)..] : tcp; // IPv6 comes without its header
            if (tcp.Length < HeaderLength || BinaryPrimitives.ReadUInt16BigEndian(tcp) != _client.Port || BinaryPrimitives.ReadUInt16BigEndian(tcp[2..]) != _server.Port)
            {
                continue;
            }

            int length = tcp.Length - ((tcp[12] >> 4) * 4) + (((TcpFlags)tcp[13] & TcpFlags.Syn) != TcpFlags.None ? 1 : 0);
            _clientNext = BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]) + (uint)length;
            _serverNext = BinaryPrimitives.ReadUInt32BigEndian(tcp[8..]);
            isKnown = true;
        }

        if (!isKnown)
        {
            throw new InvalidOperationException($"nothing came from {_client}");
        }
    }
}
