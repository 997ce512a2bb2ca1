using System.Globalization;
using ClusterLb.Dataplane.Host;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent;

/// <summary>How early the way of the packets gets a processor when others want it too (docs/processes.md).</summary>
internal static class ProcessPriority
{
    private const string Self = "self";

    /// <summary>Sets it for this process: for all threads, and those that they will start. Without the right to it stays as it was.</summary>
    /// <param name="nice">−20 (first) to 19 (last).</param>
    public static void SetOwn(int nice) => Set(Self, nice);

    /// <summary>The same for another process.</summary>
    /// <param name="pid">Its id; one that has ended does no harm.</param>
    /// <param name="nice">−20 (first) to 19 (last).</param>
    public static void Set(int pid, int nice) => Set(pid.ToString(CultureInfo.InvariantCulture), nice);

    /// <summary>Starts a process that has another priority than this one.</summary>
    /// <param name="nice">−20 (first) to 19 (last).</param>
    /// <param name="start">Starts it, in a session of its own, from the calling thread; returns its id, or 0.</param>
    /// <returns>Why it has the priority of this process; empty if it has its own.</returns>
    public static string Start(int nice, Func<int> start)
    {
        int own = NiceInterop.Own;
        int refused = NiceInterop.SetOwn(nice); // a child starts with that of the thread that makes it
        int pid;
        try
        {
            pid = start();
        }
        finally
        {
            NiceInterop.SetOwn(own);
        }

        if (pid != 0)
        {
            SetGroup(pid.ToString(CultureInfo.InvariantCulture), nice);
        }

        return refused == 0 ? "" : $"setpriority failed with {Errno.Name(refused)}; it needs CAP_SYS_NICE";
    }

    private static void Set(string process, int nice)
    {
        try
        {
            foreach (string task in Directory.GetDirectories($"/proc/{process}/task"))
            {
                NiceInterop.Set(int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture), nice);
            }
        }
        catch (IOException)
        {
            return; // it has ended
        }

        SetGroup(process, nice);
    }

    // Where the kernel makes a group of each session (sched_autogroup_enabled), niceness counts only inside of it: the group has its own.
    private static void SetGroup(string process, int nice)
    {
        try
        {
            File.WriteAllText($"/proc/{process}/autogroup", nice.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // There are no such groups, or it has ended.
        }
    }
}
