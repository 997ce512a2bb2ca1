using System.Runtime.InteropServices;

namespace ClusterLb.EndToEnd.Tests.Dataplane;

/// <summary>A network namespace of one thread's own, which ends with the thread and what it opened.</summary>
internal static partial class NamespaceInterop
{
    private const int NewNetwork = 0x40000000; // CLONE_NEWNET

    /// <summary>Runs an action on a thread in a fresh network namespace; its exception is thrown here.</summary>
    public static void Run(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            failure = Record.Exception(() =>
            {
                Assert.True(unshare(NewNetwork) == 0, "unshare(CLONE_NEWNET) failed");
                action();
            });
        });
        thread.Start();
        thread.Join();
        Assert.True(failure is null, failure?.ToString());
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);
}
