using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>Waiting for a lease: flock(2), which the runtime does not offer.</summary>
internal static partial class LeaseInterop
{
    private const int LockExclusive = 2;

    /// <summary>Returns when the lease of this open file is taken, which may be never.</summary>
    public static void Take(SafeFileHandle file)
    {
        while (flock(file, LockExclusive) != 0)
        {
            // Interrupted by a signal of the runtime: wait on.
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);
}
