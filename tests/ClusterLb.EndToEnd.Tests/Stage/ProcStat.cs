namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>The fields of /proc/PID/stat (proc(5)).</summary>
internal static class ProcStat
{
    /// <summary>From the third field on: the second may contain blanks.</summary>
    public static string[] Of(int pid) => File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1].Split(' ');
}
