using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Sends packets with addresses that nobody has, through a raw socket of some namespace.</summary>
internal sealed class ForgedPackets : IDisposable
{
    private const uint Network = 0xC612_0000; // 198.18.0.0/15, where nobody lives (RFC 2544)

    private readonly Socket _socket;
    private readonly IPEndPoint _target;
    private readonly byte[] _packet;
    private readonly Random _random = new(198);

    /// <param name="from">Whence.</param>
    /// <param name="packet">To whom; its source address and port are forged anew each time.</param>
    public ForgedPackets(NetworkNamespace from, byte[] packet)
    {
        _socket = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Raw); // the header is ours
        _target = new IPEndPoint(new IPAddress(packet.AsSpan(16, 4)), 0);
        _packet = packet;
    }

    /// <summary>Sends so many; how many were on their way the kernel knows.</summary>
    public void Send(int count)
    {
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(_packet.AsSpan(12), Network + (uint)_random.Next(1 << 17));
            BinaryPrimitives.WriteUInt16BigEndian(_packet.AsSpan(20), (ushort)_random.Next(1_024, 65_536));
            ReferenceRewriter.CompleteChecksums(_packet);
            try
            {
                _socket.SendTo(_packet, _target);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.NoBufferSpaceAvailable)
            {
                // The link is full of forged packets: that is what is wanted.
            }
        }
    }

    public void Dispose() => _socket.Dispose();
}
