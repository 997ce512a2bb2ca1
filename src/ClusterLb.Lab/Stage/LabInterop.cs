using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Lab.Stage;

/// <summary>The two system calls that the base class library lacks: entering a namespace and sending a signal.</summary>
internal static partial class LabInterop
{
    /// <summary>SIGTERM: please end.</summary>
    public const int SigTerm = 15;

    /// <summary>SIGKILL: end now.</summary>
    public const int SigKill = 9;

    private const int CloneNewNet = 0x40000000;

    /// <summary>Moves the calling thread, and no other, into a network namespace.</summary>
    /// <returns>0, or a negative errno.</returns>
    public static int EnterNetworkNamespace(SafeFileHandle file) =>
        setns(file, CloneNewNet) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    /// <summary>Sends a signal to one process.</summary>
    /// <returns>0, or a negative errno (-3: there is no such process).</returns>
    public static int Signal(int processId, int signal) =>
        kill(processId, signal) == 0 ? 0 : -Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setns(SafeFileHandle fd, int kind);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int processId, int signal);
}
