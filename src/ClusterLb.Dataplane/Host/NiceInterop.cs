using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Host;

/// <summary>How early a thread gets a processor when others want it too: setpriority(2), which on Linux is of threads, not processes.</summary>
public static partial class NiceInterop
{
    private const int OfProcess = 0; // and on Linux: of the thread with that id; 0 is the caller

    /// <summary>Of the calling thread: −20 (first) to 19 (last), 0 is usual. Never fails.</summary>
    public static int Own => getpriority(OfProcess, 0);

    /// <summary>Sets it for the calling thread; threads and processes that it starts from then on inherit it.</summary>
    /// <param name="nice">−20 to 19.</param>
    /// <returns>0 or an errno: EACCES for a lower one than now, without CAP_SYS_NICE.</returns>
    public static int SetOwn(int nice) => Set(0, nice);

    /// <summary>The same for another thread.</summary>
    /// <param name="thread">Its id; of a process: that of its first thread.</param>
    /// <param name="nice">−20 to 19.</param>
    /// <returns>0 or an errno; ESRCH if it has ended.</returns>
    public static int Set(int thread, int nice) => setpriority(OfProcess, (uint)thread, nice) == 0 ? 0 : Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setpriority(int which, uint who, int nice);

    [LibraryImport("libc")]
    private static partial int getpriority(int which, uint who);
}
