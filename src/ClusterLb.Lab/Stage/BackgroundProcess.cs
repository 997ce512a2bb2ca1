using System.Diagnostics;

namespace ClusterLb.Lab.Stage;

/// <summary>Starts a program inside a namespace that outlives the command which starts it.</summary>
internal static class BackgroundProcess
{
    /// <summary>Starts it in a session of its own (Ctrl-C here does not reach it), its output appended to a file.</summary>
    public static void Start(NetworkNamespace ns, string logFile, IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        // nsenter and not `ip netns exec`: the latter also replaces the mounts of /sys.
        foreach (string argument in (string[])
            ["-c", "exec setsid \"$@\" </dev/null >>\"$0\" 2>&1", logFile, "nsenter", $"--net={ns.Path}", .. command])
        {
            start.ArgumentList.Add(argument);
        }

        using Process? process = Process.Start(start);
    }
}
