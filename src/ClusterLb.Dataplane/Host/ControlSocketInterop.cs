using System.Runtime.InteropServices;
using System.Text;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>Every system call on the control socket: the runtime's own sockets can neither carry descriptors nor SOCK_SEQPACKET.</summary>
/// <remarks>Numbers are those of Linux on 64 bits (sys/socket.h, sys/un.h). Calls answer with a negative errno.</remarks>
internal static unsafe partial class ControlSocketInterop
{
    private const int AddressFamilyUnix = 1;
    private const int SequencedPackets = 5; // SOCK_SEQPACKET
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int SocketLevel = 1; // SOL_SOCKET
    private const int OptionPeerPidFd = 77; // SO_PEERPIDFD, Linux 6.5
    private const int ControlRights = 1; // SCM_RIGHTS
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int ReceiveCloseOnExec = 0x40000000; // MSG_CMSG_CLOEXEC
    private const int ControlTruncated = 0x08; // MSG_CTRUNC
    private const int MessageTruncated = 0x20; // MSG_TRUNC
    private const int ShutdownBoth = 2;
    private const int DescriptorFlags = 2; // F_SETFD
    private const int DescriptorCloseOnExec = 1;

    // struct sockaddr_un: a family of two bytes, then 108 of path with its zero.
    private const int AddressLength = 110;
    private const int MaxPathBytes = 107;

    // struct cmsghdr: length (8), level (4), type (4); what follows is aligned to 8.
    private const int ControlHeaderLength = 16;

    /// <summary>The most descriptors that one message carries (SCM_MAX_FD).</summary>
    public const int MaxDescriptors = 253;

    public static SafeFileHandle Create(out int errno) =>
        Wrap(socket(AddressFamilyUnix, SequencedPackets | CloseOnExec, 0), out errno);

    /// <summary>Two sockets that are connected with each other and do not block: what is written to one is read, packet by packet, from the other.</summary>
    public static SafeFileHandle[] CreatePair()
    {
        int* ends = stackalloc int[2];
        return socketpair(AddressFamilyUnix, SequencedPackets | CloseOnExec | NonBlocking, 0, ends) == 0
            ? [new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true)]
            : throw new ControlSocketException($"socketpair failed with {Errno.Name(LastError())}; is the limit of open files reached?");
    }

    public static int Bind(SafeFileHandle socket, string path)
    {
        byte* address = stackalloc byte[AddressLength];
        return Fill(address, path) && bind(socket, address, AddressLength) == 0 ? 0 : -LastError();
    }

    public static int Connect(SafeFileHandle socket, string path)
    {
        byte* address = stackalloc byte[AddressLength];
        return Fill(address, path) && connect(socket, address, AddressLength) == 0 ? 0 : -LastError();
    }

    public static int Listen(SafeFileHandle socket) => listen(socket, 8) == 0 ? 0 : -LastError();

    public static SafeFileHandle Accept(SafeFileHandle socket, out int errno) =>
        Wrap(accept4(socket, null, null, CloseOnExec), out errno);

    /// <summary>Ends reads of this connection in all threads and at its peer.</summary>
    public static void Shutdown(SafeFileHandle socket) => _ = shutdown(socket, ShutdownBoth);

    public static void SetCloseOnExec(SafeFileHandle handle) => _ = fcntl(handle, DescriptorFlags, DescriptorCloseOnExec);

    /// <summary>A pidfd of the process that called listen (for who connected) or connect (for who accepted).</summary>
    public static SafeFileHandle PeerProcess(SafeFileHandle socket, out int errno)
    {
        int fd = -1;
        int length = sizeof(int);
        return Wrap(getsockopt(socket, SocketLevel, OptionPeerPidFd, &fd, &length) == 0 ? fd : -1, out errno);
    }

    /// <summary>Sends one message without waiting.</summary>
    /// <returns>0 or a negative errno; EAGAIN if the peer does not read.</returns>
    public static int Send(SafeFileHandle socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<SafeFileHandle> descriptors)
    {
        int dataLength = ControlHeaderLength + (descriptors.Length * sizeof(int));
        int controlLength = descriptors.Length == 0 ? 0 : (dataLength + 7) & ~7;
        byte* control = stackalloc byte[Math.Max(controlLength, 8)];
        if (controlLength > 0)
        {
            *(nuint*)control = (nuint)dataLength;
            ((int*)control)[2] = SocketLevel;
            ((int*)control)[3] = ControlRights;
            for (int i = 0; i < descriptors.Length; i++)
            {
                ((int*)(control + ControlHeaderLength))[i] = (int)descriptors[i].DangerousGetHandle();
            }
        }

        fixed (byte* data = bytes)
        {
            var part = new IoVector { Base = data, Length = (nuint)bytes.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = (nuint)controlLength };
            return sendmsg(socket, &message, DontWait | NoSignal) >= 0 ? 0 : -LastError();
        }
    }

    /// <summary>Waits for one message.</summary>
    /// <returns>Its bytes, 0 at the end of the connection, or a negative errno.</returns>
    public static int Receive(SafeFileHandle socket, Span<byte> room, out SafeFileHandle[] descriptors)
    {
        const int ControlRoom = ControlHeaderLength + (MaxDescriptors * sizeof(int)) + 4;
        byte* control = stackalloc byte[ControlRoom];
        descriptors = [];
        fixed (byte* data = room)
        {
            var part = new IoVector { Base = data, Length = (nuint)room.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlRoom };
            nint n = recvmsg(socket, &message, ReceiveCloseOnExec);
            if (n < 0)
            {
                return -LastError();
            }

            if ((int)message.ControlLength >= ControlHeaderLength
                && ((int*)control)[2] == SocketLevel && ((int*)control)[3] == ControlRights)
            {
                int count = ((int)*(nuint*)control - ControlHeaderLength) / sizeof(int);
                descriptors = new SafeFileHandle[count];
                for (int i = 0; i < count; i++)
                {
                    descriptors[i] = new SafeFileHandle(((int*)(control + ControlHeaderLength))[i], ownsHandle: true);
                }
            }

            return (message.Flags & (ControlTruncated | MessageTruncated)) == 0 ? (int)n : -MessageTooLong;
        }
    }

    private const int MessageTooLong = 90; // EMSGSIZE

    private static bool Fill(byte* address, string path)
    {
        new Span<byte>(address, AddressLength).Clear();
        *(ushort*)address = AddressFamilyUnix;
        if (Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            Marshal.SetLastPInvokeError(Errno.EINVAL);
            return false;
        }

        Encoding.UTF8.GetBytes(path, new Span<byte>(address + 2, MaxPathBytes));
        return true;
    }

    private static SafeFileHandle Wrap(int fd, out int errno)
    {
        errno = fd >= 0 ? 0 : LastError();
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    private static int LastError() => Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(SafeFileHandle fd, byte* address, uint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(SafeFileHandle fd, byte* address, uint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int listen(SafeFileHandle fd, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int accept4(SafeFileHandle fd, byte* address, uint* length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int shutdown(SafeFileHandle fd, int how);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle fd, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getsockopt(SafeFileHandle fd, int level, int option, int* value, int* length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint sendmsg(SafeFileHandle fd, MessageHeader* message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recvmsg(SafeFileHandle fd, MessageHeader* message, int flags);

    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public byte* Name;
        public uint NameLength;
        public IoVector* Parts;
        public nuint PartCount;
        public byte* Control;
        public nuint ControlLength;
        public int Flags;
    }
}
