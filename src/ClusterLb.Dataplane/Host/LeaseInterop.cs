using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>Waiting for a lease: flock(2), which the runtime does not offer.</summary>
internal static partial class LeaseInterop
{
    private const int LockExclusive = 2;
    private const int Interrupted = 4;

    /// <summary>Returns when the lease of this open file is taken, which may be never.</summary>
    /// <exception cref="IOException">The kernel does not let it be waited for.</exception>
    public static void Take(SafeFileHandle file)
    {
        while (flock(file, LockExclusive) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Interrupted) // by a signal of the runtime
            {
                throw new IOException($"The lease cannot be waited for: flock failed with {Errno.Name(errno)}.");
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);
}
