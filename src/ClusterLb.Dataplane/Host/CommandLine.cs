using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Host;

/// <summary>The command line of this process as ps and /proc show it.</summary>
internal static class CommandLine
{
    // proc(5), /proc/PID/stat: arg_start and arg_end, counted from what stands behind the name in parentheses.
    private const int ArgumentsStartField = 48 - 3;

    /// <summary>Overwrites a word by one of the same length, so that people see what the process does now. If that fails, nothing is lost.</summary>
    public static void ReplaceVerb(string old, string now)
    {
        try
        {
            string stat = File.ReadAllText("/proc/self/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            long start = long.Parse(fields[ArgumentsStartField], CultureInfo.InvariantCulture);
            long end = long.Parse(fields[ArgumentsStartField + 1], CultureInfo.InvariantCulture);

            using SafeFileHandle memory = File.OpenHandle("/proc/self/mem", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            byte[] words = new byte[end - start];
            int at = RandomAccess.Read(memory, words, start) > 0 ? words.AsSpan().IndexOf(Encoding.ASCII.GetBytes($"\0{old}\0")) : -1;
            if (at >= 0)
            {
                RandomAccess.Write(memory, Encoding.ASCII.GetBytes(now), start + at + 1);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or FormatException
            or OverflowException or IndexOutOfRangeException or ArgumentException)
        {
            // A kernel that does not let a process write its own memory that way.
        }
    }
}
