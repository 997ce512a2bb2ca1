using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.Network;

/// <summary>Every system call on a netlink socket (netlink(7)).</summary>
internal static partial class NetlinkInterop
{
    private const int AfNetlink = 16;
    private const int SockRaw = 3;
    private const int SockCloseOnExec = 0x80000;
    private const int Interrupted = 4; // EINTR

    /// <summary>NETLINK_ROUTE: interfaces, addresses, routes, rules.</summary>
    public const int Route = 0;

    /// <summary>NETLINK_NETFILTER: nft.</summary>
    public const int Netfilter = 12;

    /// <summary>No buffer space: events were lost.</summary>
    public const int LostEvents = 105; // ENOBUFS

    /// <summary>A socket of the calling thread's network namespace.</summary>
    /// <param name="protocol"><see cref="Route"/> or <see cref="Netfilter"/>.</param>
    /// <param name="groups">Multicast groups, bit n-1 for group n.</param>
    /// <param name="errno">0, or why there is none.</param>
    public static SafeFileHandle Open(int protocol, uint groups, out int errno)
    {
        int fd = socket(AfNetlink, SockRaw | SockCloseOnExec, protocol);
        var handle = new SafeFileHandle(fd, ownsHandle: true);
        var address = new SocketAddress { Family = AfNetlink, Groups = groups };
        errno = fd < 0 || bind(handle, in address, Marshal.SizeOf<SocketAddress>()) != 0 ? Marshal.GetLastPInvokeError() : 0;
        return handle;
    }

    /// <summary>Sends one message to the kernel.</summary>
    /// <returns>0, or an errno.</returns>
    public static int Send(SafeFileHandle socket, ReadOnlySpan<byte> message) =>
        send(socket, in MemoryMarshal.GetReference(message), (nuint)message.Length, 0) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Receives one datagram, which holds one or more messages.</summary>
    /// <returns>Bytes received, or a negative errno.</returns>
    public static int Receive(SafeFileHandle socket, Span<byte> buffer)
    {
        nint received;
        do
        {
            received = recv(socket, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length, 0);
        }
        while (received < 0 && Marshal.GetLastPInvokeError() == Interrupted);

        return received < 0 ? -Marshal.GetLastPInvokeError() : (int)received;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(SafeFileHandle socket, in SocketAddress address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(SafeFileHandle socket, in byte buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(SafeFileHandle socket, ref byte buffer, nuint length, int flags);

    // struct sockaddr_nl
    [StructLayout(LayoutKind.Sequential)]
    private struct SocketAddress
    {
        public ushort Family;
        public ushort Padding;
        public uint PortId;
        public uint Groups;
    }
}
