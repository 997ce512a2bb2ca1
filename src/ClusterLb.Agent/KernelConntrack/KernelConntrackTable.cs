using System.Globalization;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.KernelConntrack;

/// <summary>The kernel's own flow table at one moment: one more table that can fill. Each flow of ours has two entries in it.</summary>
/// <param name="Count">Entries of this network namespace.</param>
/// <param name="Capacity">Entries that it may have.</param>
/// <param name="Dropped">Packets dropped since the namespace began, mostly for want of room.</param>
/// <param name="EarlyDropped">Entries that were not yet established and had to make room.</param>
public readonly record struct KernelConntrackTable(int Count, int Capacity, long Dropped, long EarlyDropped)
{
    /// <summary>Its name among maps and flow tables.</summary>
    public const string Name = "nf_conntrack";

    /// <summary>Filled so far (from 0 to 1) it is worth telling.</summary>
    internal const double High = 0.9;

    /// <summary>What to do about it then.</summary>
    internal const string Advice = "raise conntrack.maxPerCore or min, or find who opens so many connections (conntrack -S, conntrack -L)";

    private const string Folder = "/proc/sys/net/netfilter";
    private const string Statistics = "/proc/thread-self/net/stat/nf_conntrack";

    /// <summary>Of the calling thread's network namespace; null where the kernel has no such table (yet).</summary>
    public static KernelConntrackTable? Read()
    {
        try
        {
            (long dropped, long early) = File.Exists(Statistics) ? ParseStatistics(File.ReadLines(Statistics)) : (0, 0);
            return new KernelConntrackTable(Number("nf_conntrack_count"), Number("nf_conntrack_max"), dropped, early);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Its fill, for whoever lists tables; none where there is no table.</summary>
    public static IEnumerable<MapFill> ReadFill() => Read() is { } table ? [new MapFill(Name, table.Count, table.Capacity)] : [];

    /// <summary>From 0 to 1.</summary>
    public double Fill => Capacity == 0 ? 0 : (double)Count / Capacity;

    // A line of names, then one of hexadecimal numbers for each processor.
    internal static (long Dropped, long EarlyDropped) ParseStatistics(IEnumerable<string> lines)
    {
        string[][] rows = [.. lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        return (Sum("drop"), Sum("early_drop"));

        long Sum(string name)
        {
            int at = rows.Length == 0 ? -1 : Array.IndexOf(rows[0], name);
            return at < 0 ? 0 : rows.Skip(1).Where(row => row.Length > at)
                .Sum(row => long.Parse(row[at], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        }
    }

    private static int Number(string file) => int.Parse(File.ReadAllText($"{Folder}/{file}"), CultureInfo.InvariantCulture);
}
