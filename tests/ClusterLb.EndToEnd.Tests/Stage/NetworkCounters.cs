using System.Globalization;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>The kernel's protocol counters of a namespace: /proc/net/snmp, snmp6 and netstat.</summary>
internal static class NetworkCounters
{
    public static IReadOnlyDictionary<string, long> Read(NetworkNamespace ns)
    {
        var counters = new Dictionary<string, long>(StringComparer.Ordinal);
        (string snmp, string netstat, string snmp6) = ns.Run(() => (
            File.ReadAllText("/proc/thread-self/net/snmp"),
            File.ReadAllText("/proc/thread-self/net/netstat"),
            File.ReadAllText("/proc/thread-self/net/snmp6")));

        // Pairs of lines: "Tcp: InSegs InCsumErrors", "Tcp: 12 0".
        foreach (string[] pair in (snmp + netstat).Split('\n', StringSplitOptions.RemoveEmptyEntries).Chunk(2))
        {
            string[] names = pair[0].Split(' ');
            string[] values = pair[1].Split(' ');
            for (int i = 1; i < names.Length; i++)
            {
                counters[names[0].TrimEnd(':') + names[i]] = long.Parse(values[i], CultureInfo.InvariantCulture);
            }
        }

        foreach (string[] words in snmp6.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)))
        {
            counters[words[0]] = long.Parse(words[1], CultureInfo.InvariantCulture);
        }

        return counters;
    }
}
