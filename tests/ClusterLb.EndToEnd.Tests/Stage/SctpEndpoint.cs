using System.Buffers.Binary;
using System.ComponentModel;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>One end of an SCTP association: crafted packets through a raw socket, for the test kernels have no sockets of that protocol.</summary>
internal sealed partial class SctpEndpoint : IDisposable
{
    private const int RawType = 3; // SOCK_RAW, as the kernel counts them
    private const int CloseOnExec = 0x80000; // SOCK_CLOEXEC
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket _socket;
    private readonly bool _ipv6;

    /// <param name="at">Where it sends and listens.</param>
    /// <param name="ipv6">Its family.</param>
    public SctpEndpoint(NetworkNamespace at, bool ipv6)
    {
        _ipv6 = ipv6;
        _socket = at.Run(() =>
        {
            // The base class library knows no protocol of this number.
            int descriptor = socket(ipv6 ? 10 : 2, RawType | CloseOnExec, (int)IpProtocol.Sctp);
            return descriptor >= 0 ? new Socket(new SafeSocketHandle(descriptor, ownsHandle: true)) : throw new Win32Exception(Marshal.GetLastPInvokeError());
        });
    }

    /// <summary>The verification tag that the other end asked for; 0 before it did. The kernel's connection tracking checks it.</summary>
    public uint PeerTag { get; set; }

    /// <summary>Sends a packet with these chunks, right checksum included.</summary>
    public async Task SendAsync(IpAddr to, ushort sourcePort, ushort destinationPort, byte[] chunks)
    {
        // The CRC32c covers no addresses: any will do here.
        byte[] packet = Packet.Sctp(IpAddr.Unspecified(!_ipv6).WithPort(sourcePort), to.WithPort(destinationPort)).Tag(PeerTag).Payload(chunks);
        await _socket.SendToAsync(packet.AsMemory(_ipv6 ? 40 : 20), new IPEndPoint(IPAddress.Parse(to.ToString()), 0));
    }

    /// <summary>Waits for the packet with these chunks.</summary>
    /// <returns>From where it came, to which port, and whether its checksum is right; null if none came in time.</returns>
    public async Task<SctpArrival?> ReceiveAsync(byte[] chunks, TimeSpan? patience = null)
    {
        byte[] buffer = new byte[65_536];
        using var limit = new CancellationTokenSource(patience ?? Patience);
        try
        {
            while (true)
            {
                SocketReceiveFromResult got = await _socket.ReceiveFromAsync(buffer, new IPEndPoint(_ipv6 ? IPAddress.IPv6Any : IPAddress.Any, 0), limit.Token);
                byte[] packet = buffer[(_ipv6 ? 0 : 20)..got.ReceivedBytes]; // a raw IPv4 socket shows the IP header
                if (packet.Length != 12 + chunks.Length || !packet.AsSpan(12).SequenceEqual(chunks))
                {
                    continue;
                }

                uint stated = BinaryPrimitives.ReadUInt32LittleEndian(packet.AsSpan(8));
                packet.AsSpan(8, 4).Clear();
                return new SctpArrival(
                    IpAddr.Parse(((IPEndPoint)got.RemoteEndPoint).Address.ToString()),
                    BinaryPrimitives.ReadUInt16BigEndian(packet),
                    BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(2)),
                    ReferenceChecksum.Crc32c(packet) == stated);
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    public void Dispose() => _socket.Dispose();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int family, int type, int protocol);
}

/// <summary>An SCTP packet that has arrived.</summary>
internal sealed record SctpArrival(IpAddr From, ushort SourcePort, ushort DestinationPort, bool IsIntact);
