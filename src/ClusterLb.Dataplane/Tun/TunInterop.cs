using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Every system call on the TUN device. Numbers are those of linux/if_tun.h, linux/if.h and asm-generic.</summary>
/// <remarks>Calls on the packet path answer with a negative errno instead of throwing: EAGAIN is part of normal work.</remarks>
internal static unsafe partial class TunInterop
{
    public const short IffTun = 0x0001;
    public const short IffNoPacketInformation = 0x1000;
    public const short IffVnetHeader = 0x4000;
    public const short IffMultiQueue = 0x0100;

    public const uint OffloadChecksum = 0x01;
    public const uint OffloadTso4 = 0x02;
    public const uint OffloadTso6 = 0x04;
    public const uint OffloadTsoEcn = 0x08;
    public const uint OffloadUso4 = 0x20;
    public const uint OffloadUso6 = 0x40;

    private const nuint TunSetIff = 0x400454ca;
    private const nuint TunSetPersist = 0x400454cb;
    private const nuint TunSetOffload = 0x400454d0;
    private const nuint TunGetFeatures = 0x800454cf;
    private const nuint TunGetIff = 0x800454d2;
    private const nuint TunSetVnetHeaderSize = 0x400454d8;
    private const nuint GetInterfaceFlags = 0x8913; // SIOCGIFFLAGS
    private const short InterfaceRunning = 0x40; // IFF_RUNNING
    private const nuint AskDriver = 0x8946; // SIOCETHTOOL
    private const uint GetLink = 0x0a; // ETHTOOL_GLINK

    private const int OpenReadWrite = 2;
    private const int OpenNonBlocking = 0x800;
    private const int OpenCloseOnExec = 0x80000;

    private const int AddressFamilyInet = 2;
    private const int SocketDatagram = 2;


    /// <summary>The longest name of an interface, without the terminating zero (IFNAMSIZ - 1).</summary>
    public const int MaxNameLength = 15;

    /// <summary>Opens the clone device.</summary>
    /// <returns>A descriptor that is not attached to an interface yet, non-blocking, closed on exec.</returns>
    public static SafeFileHandle Open(out int errno)
    {
        int fd = open("/dev/net/tun", OpenReadWrite | OpenNonBlocking | OpenCloseOnExec, 0);
        errno = fd >= 0 ? 0 : Marshal.GetLastPInvokeError();
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>Creates the interface, or attaches one more queue to it.</summary>
    public static int Attach(SafeFileHandle tun, string name, short flags)
    {
        var request = new InterfaceRequest { Flags = flags };
        request.SetName(name);
        return ioctl(tun, TunSetIff, &request) >= 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>The interface behind a queue, and its flags; EBADFD once the interface is gone.</summary>
    public static int Describe(SafeFileHandle tun, out string name, out short flags)
    {
        InterfaceRequest request = default;
        int errno = ioctl(tun, TunGetIff, &request) >= 0 ? 0 : Marshal.GetLastPInvokeError();
        name = errno == 0 ? request.GetName() : "";
        flags = request.Flags;
        return errno;
    }

    /// <summary>The IFF_ flags that this kernel's driver knows; needs no right and no interface.</summary>
    public static int Features(SafeFileHandle tun, out uint flags)
    {
        uint features = 0;
        int errno = ioctl(tun, TunGetFeatures, &features) >= 0 ? 0 : Marshal.GetLastPInvokeError();
        flags = features;
        return errno;
    }

    public static int SetPersistent(SafeFileHandle tun, bool persistent) =>
        ioctl(tun, TunSetPersist, (void*)(nint)(persistent ? 1 : 0)) >= 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int SetOffload(SafeFileHandle tun, uint offloads) =>
        ioctl(tun, TunSetOffload, (void*)offloads) >= 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int SetVnetHeaderSize(SafeFileHandle tun, int sizeBytes) =>
        ioctl(tun, TunSetVnetHeaderSize, &sizeBytes) >= 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Whether an interface of this name exists, and whether it has a carrier (for a TUN: somebody holds a queue).</summary>
    public static bool InterfaceExists(string name, out bool running)
    {
        running = false;
        int fd = socket(AddressFamilyInet, SocketDatagram | OpenCloseOnExec, 0);
        if (fd < 0)
        {
            return false;
        }

        using var probe = new SafeFileHandle(fd, ownsHandle: true);
        InterfaceRequest request = default;
        request.SetName(name);
        if (ioctl(probe, GetInterfaceFlags, &request) < 0)
        {
            return false;
        }

        running = HasLink(probe, name) ?? (request.Flags & InterfaceRunning) != 0;
        return true;
    }

    // IFF_RUNNING follows the carrier up to a second later (linkwatch_urgent_event, net/core/link_watch.c); this asks the driver.
    private static bool? HasLink(SafeFileHandle socket, string name)
    {
        uint* value = stackalloc uint[2]; // struct ethtool_value: command, data
        value[0] = GetLink;
        var request = new InterfaceRequest { Data = (nint)value };
        request.SetName(name);
        return ioctl(socket, AskDriver, &request) >= 0 ? value[1] != 0 : null;
    }

    /// <summary>Reads one frame.</summary>
    /// <returns>Bytes read, or a negative errno.</returns>
    public static int Read(SafeFileHandle device, Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            nint n = read(device, bytes, (nuint)buffer.Length);
            return n >= 0 ? (int)n : -Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Writes one frame.</summary>
    /// <returns>Bytes written, or a negative errno.</returns>
    public static int Write(SafeFileHandle device, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            nint n = write(device, bytes, (nuint)buffer.Length);
            return n >= 0 ? (int)n : -Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>A counter that wakes a poll: <see cref="Signal"/> makes it readable for good.</summary>
    public static SafeFileHandle CreateEvent()
    {
        int fd = eventfd(0, OpenCloseOnExec | OpenNonBlocking);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new TunException($"eventfd failed with {Errno.Name(Marshal.GetLastPInvokeError())}; is the limit of open files reached?");
    }

    public static void Signal(SafeFileHandle wakeEvent)
    {
        ulong one = 1;
        _ = write(wakeEvent, (byte*)&one, sizeof(ulong));
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(SafeFileHandle fd, nuint request, void* argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle fd, byte* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle fd, byte* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    /// <summary>struct ifreq: a name of 16 bytes, then a union of 24.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    private struct InterfaceRequest
    {
        [FieldOffset(0)]
        private fixed byte _name[MaxNameLength + 1];

        [FieldOffset(16)]
        public short Flags;

        [FieldOffset(16)]
        public nint Data;

        public void SetName(string name)
        {
            // Longer names are refused by TunOptions; here only the array's end matters.
            for (int i = 0; i < Math.Min(name.Length, MaxNameLength); i++)
            {
                _name[i] = (byte)name[i];
            }
        }

        public string GetName()
        {
            fixed (byte* name = _name)
            {
                return Marshal.PtrToStringUTF8((nint)name) ?? "";
            }
        }
    }
}
