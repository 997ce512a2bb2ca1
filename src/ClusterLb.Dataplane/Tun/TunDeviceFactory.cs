using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Creates, re-attaches and removes the persistent multi-queue TUN interface. Needs CAP_NET_ADMIN.</summary>
/// <remarks>
/// The interface outlives every process (TUNSETPERSIST). Its queues do not: as long as somebody holds the descriptor of
/// a queue, packets wait in it; closing the last one drops them. So the agent keeps duplicates of all of them.
/// </remarks>
public static class TunDeviceFactory
{
    /// <summary>Flags that every queue of ours has; a device found with others is not ours.</summary>
    private const short Flags = TunInterop.IffTun | TunInterop.IffNoPacketInformation | TunInterop.IffVnetHeader | TunInterop.IffMultiQueue;

    // From best to least: USO came with Linux 6.2, without checksum offload there is no segmentation offload.
    private static readonly TunOffloads[] OffloadLadder =
    [
        TunOffloads.Checksum | TunOffloads.Tso | TunOffloads.Uso,
        TunOffloads.Checksum | TunOffloads.Tso,
        TunOffloads.Checksum,
        TunOffloads.None,
    ];

    // The queues of a killed process close some milliseconds after its locks fall.
    private const int CarrierTimeoutMs = 1_500;
    private const int CarrierIntervalMs = 2;

    /// <summary>Attaches exactly <see cref="TunOptions.Queues"/> queues, creating the interface if it is not there.</summary>
    /// <param name="options">Must be free of <see cref="TunOptions.Problems"/>.</param>
    /// <param name="offloads">What the kernel accepted.</param>
    /// <returns>One non-blocking descriptor per queue; the caller owns them.</returns>
    /// <exception cref="TunException">The name is taken by something else, is in use, or rights are missing; nothing is left behind.</exception>
    public static IReadOnlyList<SafeFileHandle> Open(TunOptions options, out TunOffloads offloads)
    {
        bool existed = TunInterop.InterfaceExists(options.Name, out bool running);
        for (long begun = Environment.TickCount64; running && Environment.TickCount64 - begun < CarrierTimeoutMs;)
        {
            Thread.Sleep(CarrierIntervalMs);
            existed = TunInterop.InterfaceExists(options.Name, out running);
        }

        if (running)
        {
            // A carrier means that somebody holds a queue; one more queue that he does not serve would swallow flows.
            throw new TunException(
                $"Cannot use '{options.Name}' as TUN device: an interface of that name exists and is in use by another process. " +
                "Stop that process, or choose another name (tun.name).");
        }

        var queues = new List<SafeFileHandle>(options.Queues);
        try
        {
            for (int i = 0; i < options.Queues; i++)
            {
                queues.Add(OpenQueue(options.Name, existed));
            }

            offloads = NegotiateOffloads(queues[0], options.Name);
            Check(TunInterop.SetPersistent(queues[0], persistent: true), "TUNSETPERSIST", options.Name);
            return queues;
        }
        catch
        {
            // The interface goes with its last queue, unless it was persistent before us.
            queues.ForEach(queue => queue.Dispose());
            throw;
        }
    }

    /// <summary>True if somebody has a queue of the interface open.</summary>
    public static bool IsInUse(string name) => TunInterop.InterfaceExists(name, out bool running) && running;

    /// <summary>Removes the interface if it is there and nobody else holds a queue of it.</summary>
    /// <returns>False if there was none.</returns>
    /// <exception cref="TunException">The name belongs to something that is not a multi-queue TUN device of this kind.</exception>
    public static bool Remove(string name)
    {
        if (!TunInterop.InterfaceExists(name, out _))
        {
            return false;
        }

        using SafeFileHandle queue = OpenQueue(name, existed: true);
        Check(TunInterop.SetPersistent(queue, persistent: false), "TUNSETPERSIST", name);
        return true;
    }

    /// <summary>What this kernel's TUN driver can do. Changes nothing and creates no interface.</summary>
    /// <returns>Null if there is no driver, or this process may not open /dev/net/tun.</returns>
    public static TunSupport? ReadSupport()
    {
        using SafeFileHandle tun = TunInterop.Open(out int errno);
        return errno == 0 && TunInterop.Features(tun, out uint flags) == 0
            ? new TunSupport((flags & TunInterop.IffMultiQueue) != 0, (flags & TunInterop.IffVnetHeader) != 0)
            : null;
    }

    /// <summary>The name of the interface that a queue belongs to, or null once the interface was deleted.</summary>
    public static string? NameOf(SafeFileHandle queue) =>
        TunInterop.Describe(queue, out string name, out short flags) == 0 && (flags & Flags) == Flags ? name : null;

    private static SafeFileHandle OpenQueue(string name, bool existed)
    {
        SafeFileHandle queue = TunInterop.Open(out int errno);
        if (errno != 0)
        {
            throw new TunException(
                $"Cannot open /dev/net/tun: {Errno.Name(errno)}. It must exist (modprobe tun) and be accessible to this user.");
        }

        try
        {
            errno = TunInterop.Attach(queue, name, Flags);
            if (errno == Errno.EINVAL && existed)
            {
                throw new TunException(
                    $"Cannot use '{name}' as TUN device: an interface of that name exists, and it is not a multi-queue TUN device. " +
                    $"Choose another name (tun.name), or remove it (ip link del {name}).");
            }

            if (errno == Errno.EBUSY)
            {
                throw new TunException(
                    $"Cannot use '{name}' as TUN device: it is in use by another process. Stop that process, or choose another name (tun.name).");
            }

            if (errno is Errno.EPERM or Errno.EACCES)
            {
                throw new TunException(
                    $"Cannot create TUN device '{name}': TUNSETIFF failed with {Errno.Name(errno)}. " +
                    "The agent needs CAP_NET_ADMIN in this network namespace.");
            }

            Check(errno, "TUNSETIFF", name);
            Check(TunInterop.Describe(queue, out _, out short flags), "TUNGETIFF", name);
            if ((flags & Flags) != Flags)
            {
                throw new TunException(
                    $"Cannot use '{name}' as TUN device: it has flags 0x{flags:x4}, but 0x{Flags:x4} are needed. Remove it (ip link del {name}).");
            }

            Check(TunInterop.SetVnetHeaderSize(queue, VnetHeader.Length), "TUNSETVNETHDRSZ", name);
            return queue;
        }
        catch
        {
            queue.Dispose();
            throw;
        }
    }

    private static TunOffloads NegotiateOffloads(SafeFileHandle queue, string name)
    {
        int errno = 0;
        foreach (TunOffloads offloads in OffloadLadder)
        {
            errno = TunInterop.SetOffload(queue, Bits(offloads));
            if (errno == 0)
            {
                return offloads;
            }
        }

        throw new TunException($"Cannot configure TUN device '{name}': TUNSETOFFLOAD failed with {Errno.Name(errno)}.");
    }

    private static uint Bits(TunOffloads offloads) =>
        (offloads.HasFlag(TunOffloads.Checksum) ? TunInterop.OffloadChecksum : 0) |
        (offloads.HasFlag(TunOffloads.Tso) ? TunInterop.OffloadTso4 | TunInterop.OffloadTso6 | TunInterop.OffloadTsoEcn : 0) |
        (offloads.HasFlag(TunOffloads.Uso) ? TunInterop.OffloadUso4 | TunInterop.OffloadUso6 : 0);

    private static void Check(int errno, string call, string name)
    {
        if (errno != 0)
        {
            throw new TunException($"Cannot set up TUN device '{name}': {call} failed with {Errno.Name(errno)}.");
        }
    }
}
