using System.Globalization;

namespace ClusterLb.Agent.Network;

/// <summary>Counters of this network namespace as <c>nstat</c> shows them: /proc/net/netstat and /proc/net/snmp.</summary>
/// <remarks>Both files have pairs of lines: a group with the names of its counters, then the same group with their values.</remarks>
internal static class KernelCounters
{
    /// <summary>The value of a counter; 0 if this kernel does not have it.</summary>
    /// <param name="group"><c>TcpExt</c>, <c>Ip</c> …</param>
    /// <param name="counter">Without the group.</param>
    public static long Read(string group, string counter) =>
        Find(File.ReadLines("/proc/thread-self/net/netstat"), group, counter) ?? Find(File.ReadLines("/proc/thread-self/net/snmp"), group, counter) ?? 0;

    /// <summary>The value of a counter in such a file; null if it is not there.</summary>
    internal static long? Find(IEnumerable<string> lines, string group, string counter)
    {
        string[]? names = null;
        foreach (string line in lines.Where(line => line.StartsWith($"{group}:", StringComparison.Ordinal)))
        {
            string[] words = line.Split(' ');
            if (names is null)
            {
                names = words;
                continue;
            }

            int at = Array.IndexOf(names, counter);
            return at > 0 && at < words.Length ? long.Parse(words[at], CultureInfo.InvariantCulture) : null;
        }

        return null;
    }
}
