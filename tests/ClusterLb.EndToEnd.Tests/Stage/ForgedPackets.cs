using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Sends packets from addresses that nobody has, each from another one, through a raw socket of some namespace.</summary>
internal sealed class ForgedPackets : IDisposable
{
    /// <summary>Where they say they are from; nobody lives there (RFC 6598).</summary>
    public const string Sources = "100.64.0.0/10";

    private const uint FirstSource = 0x6440_0000;
    private const uint SourceMask = (1 << 22) - 1;
    private const uint Stride = 0x9E37_79B1; // odd: every address comes once before one comes again

    // linux/in.h: what is sent is not put together again on its way out; for raw sockets.
    private const int SolIp = 0;
    private const int IpNoDefrag = 22;

    private readonly Socket _socket;
    private readonly IPEndPoint _target;
    private readonly byte[] _packet;
    private readonly Random _random = new(198);
    private uint _source;

    /// <param name="from">Whence.</param>
    /// <param name="packet">To whom; its source address and port are forged anew each time. It may be a fragment.</param>
    public ForgedPackets(NetworkNamespace from, byte[] packet)
    {
        _socket = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Raw); // the header is ours
        _socket.SetRawSocketOption(SolIp, IpNoDefrag, BitConverter.GetBytes(1));
        _target = new IPEndPoint(new IPAddress(packet.AsSpan(16, 4)), 0);
        _packet = packet;
    }

    /// <summary>Sends so many; how many were on their way the kernel knows.</summary>
    public void Send(int count)
    {
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(_packet.AsSpan(12), FirstSource + (_source & SourceMask));
            BinaryPrimitives.WriteUInt16BigEndian(_packet.AsSpan(20), (ushort)_random.Next(1_024, 65_536));
            ReferenceRewriter.CompleteChecksums(_packet);
            _source += Stride;
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
