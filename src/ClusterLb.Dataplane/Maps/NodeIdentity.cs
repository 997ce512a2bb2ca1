using System.Net.Sockets;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Where and since when a file's content can be true: one boot of the kernel, one network namespace.</summary>
/// <param name="BootId">/proc/sys/kernel/random/boot_id; empty where there is none. Times in files are CLOCK_MONOTONIC.</param>
/// <param name="NetnsCookie">SO_NETNS_COOKIE, never repeated within a boot; 0 where the kernel has none (before 5.14).</param>
public readonly record struct NodeIdentity(Guid BootId, ulong NetnsCookie)
{
    private const int SolSocket = 1;
    private const int SoNetnsCookie = 71;

    /// <summary>Of the calling thread, read anew: a thread may change its network namespace.</summary>
    public static NodeIdentity Current => new(ReadBootId(), ReadNetnsCookie());

    private static Guid ReadBootId()
    {
        try
        {
            return Guid.TryParse(File.ReadAllText("/proc/sys/kernel/random/boot_id"), out Guid id) ? id : Guid.Empty;
        }
        catch (IOException)
        {
            return Guid.Empty;
        }
    }

    private static ulong ReadNetnsCookie()
    {
        Span<byte> cookie = stackalloc byte[8];
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            return socket.GetRawSocketOption(SolSocket, SoNetnsCookie, cookie) == 8 ? BitConverter.ToUInt64(cookie) : 0;
        }
        catch (SocketException)
        {
            return 0;
        }
    }
}
