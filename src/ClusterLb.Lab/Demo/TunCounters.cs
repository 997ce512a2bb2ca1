using System.Globalization;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Demo;

/// <summary>The kernel's counters of ClusterLb's device on a node.</summary>
/// <remarks>What the kernel transmits into the device the dataplane reads; what the dataplane writes the kernel receives.</remarks>
/// <param name="ReadPackets">Packets that the dataplane read.</param>
/// <param name="ReadBytes">Bytes that the dataplane read.</param>
/// <param name="WrittenPackets">Packets that the dataplane wrote.</param>
/// <param name="WrittenBytes">Bytes that the dataplane wrote.</param>
/// <param name="DroppedPackets">Packets that the dataplane did not read in time: the device's queue was full.</param>
public sealed record TunCounters(long ReadPackets, long ReadBytes, long WrittenPackets, long WrittenBytes, long DroppedPackets)
{
    /// <summary>Name of the device.</summary>
    public const string Device = "clb0";

    /// <summary>The counters now; zeros if the node has no such device.</summary>
    public static TunCounters Read(NetworkNamespace node) => Of(node.ReadText("/proc/thread-self/net/dev"));

    /// <summary>The same, by a process of the node: to be looked at often.</summary>
    public static TunCounters Read(int process) => Of(File.ReadAllText($"/proc/{process}/net/dev"));

    private static TunCounters Of(string devices)
    {
        // proc(5), /proc/net/dev: eight fields of what was received, then eight of what was transmitted.
        string? line = devices.Split('\n').FirstOrDefault(l => l.TrimStart().StartsWith(Device + ":", StringComparison.Ordinal));
        if (line is null)
        {
            return new TunCounters(0, 0, 0, 0, 0);
        }

        long[] fields = [.. line.Split(':')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(f => long.Parse(f, CultureInfo.InvariantCulture))];
        return new TunCounters(fields[9], fields[8], fields[1], fields[0], fields[11]);
    }

    /// <summary>How much they moved since <paramref name="before"/>.</summary>
    public TunCounters Since(TunCounters before) => new(
        ReadPackets - before.ReadPackets, ReadBytes - before.ReadBytes,
        WrittenPackets - before.WrittenPackets, WrittenBytes - before.WrittenBytes, DroppedPackets - before.DroppedPackets);
}
