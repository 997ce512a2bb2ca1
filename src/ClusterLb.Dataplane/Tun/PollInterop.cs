using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Waits until descriptors can be read, or have failed: poll(2).</summary>
public static unsafe partial class PollInterop
{
    private const short PollIn = 0x001;

    /// <summary>Allocates nothing. A handle that is closed meanwhile stays open until this returns.</summary>
    /// <param name="handles">At most 32; null ones are passed over.</param>
    /// <param name="timeoutMs">-1: for ever.</param>
    /// <returns>One bit per handle; 0 after the time, or an interruption by a signal.</returns>
    /// <exception cref="ObjectDisposedException">One is closed already.</exception>
    public static int WaitReadable(ReadOnlySpan<SafeFileHandle?> handles, int timeoutMs)
    {
        PollEntry* entries = stackalloc PollEntry[handles.Length];
        int held = 0;
        try
        {
            for (; held < handles.Length; held++)
            {
                bool added = false;
                handles[held]?.DangerousAddRef(ref added);
                entries[held] = new PollEntry { Fd = (int)(handles[held]?.DangerousGetHandle() ?? -1), Events = PollIn };
            }

            int ready = 0;
            if (poll(entries, (nuint)handles.Length, timeoutMs) > 0)
            {
                for (int i = 0; i < handles.Length; i++)
                {
                    ready |= entries[i].Results != 0 ? 1 << i : 0;
                }
            }

            return ready;
        }
        finally
        {
            while (--held >= 0)
            {
                handles[held]?.DangerousRelease();
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollEntry* entries, nuint count, int timeoutMs);

    // struct pollfd
    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Fd;
        public short Events;
        public short Results;
    }
}
