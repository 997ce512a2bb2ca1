namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Who comes first when several want a processor (proc(5)).</summary>
internal static class Niceness
{
    private const int CapSysNice = 23;

    /// <summary>This process may let others come before itself.</summary>
    public static bool MayBeRaised => (Convert.ToUInt64(
        File.ReadLines("/proc/self/status").First(line => line.StartsWith("CapEff:", StringComparison.Ordinal))[7..].Trim(), 16) & (1UL << CapSysNice)) != 0;

    /// <summary>Of each thread of a process, its first one first: −20 to 19.</summary>
    public static IReadOnlyList<int> OfThreads(int pid) => [.. ThreadsOf(pid).Select(Of)];

    /// <summary>Of the threads with such a name.</summary>
    public static IReadOnlyList<int> OfThreads(int pid, string name) =>
        [.. ThreadsOf(pid).Where(thread => File.ReadAllText($"/proc/{pid}/task/{thread}/comm").StartsWith(name, StringComparison.Ordinal)).Select(Of)];

    /// <summary>Of one thread; of a process: of its first.</summary>
    public static int Of(int thread) => int.Parse(ProcStat.Of(thread)[16]);

    private static IEnumerable<int> ThreadsOf(int pid) =>
        Directory.GetDirectories($"/proc/{pid}/task").Select(thread => int.Parse(Path.GetFileName(thread))).Order();

    /// <summary>Of the session's group, where the kernel makes one; else null.</summary>
    public static string? OfGroup(int pid) =>
        File.Exists($"/proc/{pid}/autogroup") ? File.ReadAllText($"/proc/{pid}/autogroup").Trim().Split("nice ")[^1] : null;
}
