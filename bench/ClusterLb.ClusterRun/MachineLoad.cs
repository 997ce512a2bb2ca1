namespace ClusterLb.ClusterRun;

/// <summary>What else runs on this machine.</summary>
internal static class MachineLoad
{
    /// <summary>The load average over the last minute, as the kernel writes it.</summary>
    public static string Average() => File.ReadAllText("/proc/loadavg").Split(' ')[0];
}
