using System.Globalization;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The source ports that may stand next to this node's address in a masqueraded flow: one range, or two.</summary>
/// <remarks>Outside of node ports and of the kernel's ephemeral range, so that they meet neither what the node listens on for services nor
/// what it connects from. The first range is reserved for us (net.ipv4.ip_local_reserved_ports) where the kernel would hand it out; the
/// second one is where servers live, comes when the first is nearly taken, and is cut where the kernel's ephemeral range reaches into it. The default value has no port: <see cref="Default"/> is meant.</remarks>
/// <param name="First">First port of the first range.</param>
/// <param name="Last">Its last port.</param>
/// <param name="SecondFirst">First port of the second range; 0 if there is none.</param>
/// <param name="SecondLast">Its last port.</param>
public readonly record struct SnatPortRanges(ushort First, ushort Last, ushort SecondFirst = 0, ushort SecondLast = 0)
{
    /// <summary>61000-65535, then 1024-29999.</summary>
    public static SnatPortRanges Default { get; } = new(61_000, 65_535, 1_024, 29_999);

    /// <summary>Ports in the first range.</summary>
    public int FirstCount => Last - First + 1;

    /// <summary>Ports in both ranges.</summary>
    public int Count => FirstCount + (HasSecond ? SecondLast - SecondFirst + 1 : 0);

    /// <summary>There are two.</summary>
    public bool HasSecond => SecondFirst != 0;

    /// <summary>These, or the usual ones if nothing was said.</summary>
    public SnatPortRanges OrDefault => First == 0 ? Default : this;

    /// <summary>True for a port of either range.</summary>
    public bool Contains(ushort port) => (port >= First && port <= Last) || (HasSecond && port >= SecondFirst && port <= SecondLast);

    /// <summary>The first range first, then the second one.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    public ushort PortAt(int index) => (ushort)(index < FirstCount ? First + index : SecondFirst + index - FirstCount);

    /// <summary>Which of the 64 ports from <paramref name="word"/> × 64 on are in.</summary>
    public ulong MaskOf(int word) => MaskOf(word, First, Last) | (HasSecond ? MaskOf(word, SecondFirst, SecondLast) : 0);

    /// <summary>Which of the 64 words of 64 ports, from port <paramref name="block"/> × 4096 on, have a port that is in.</summary>
    public ulong WordsOf(int block) =>
        MaskOf(block, First / 64, Last / 64) | (HasSecond ? MaskOf(block, SecondFirst / 64, SecondLast / 64) : 0);

    /// <summary>The ports that both have, as text; null if there are none.</summary>
    public string? Overlap(SnatPortRanges other)
    {
        foreach ((ushort first, ushort last) in Ranges())
        {
            foreach ((ushort otherFirst, ushort otherLast) in other.Ranges())
            {
                if (first <= otherLast && otherFirst <= last)
                {
                    return $"{Math.Max(first, otherFirst)}-{Math.Min(last, otherLast)}";
                }
            }
        }

        return null;
    }

    /// <summary>Each range by itself.</summary>
    public IEnumerable<(ushort First, ushort Last)> Ranges() =>
        HasSecond ? [(First, Last), (SecondFirst, SecondLast)] : [(First, Last)];

    /// <summary>Reads <c>61000-65535</c> or <c>61000-65535,1024-29999</c>.</summary>
    public static bool TryParse(string text, out SnatPortRanges ranges)
    {
        ranges = default;
        string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
        if (parts.Length > 2 || !TryParseRange(parts[0], out ushort first, out ushort last))
        {
            return false;
        }

        if (parts.Length == 1)
        {
            ranges = new SnatPortRanges(first, last);
            return true;
        }

        if (!TryParseRange(parts[1], out ushort secondFirst, out ushort secondLast) || (secondFirst <= last && first <= secondLast))
        {
            return false;
        }

        ranges = new SnatPortRanges(first, last, secondFirst, secondLast);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => HasSecond ? $"{First}-{Last},{SecondFirst}-{SecondLast}" : $"{First}-{Last}";

    private static bool TryParseRange(string text, out ushort first, out ushort last)
    {
        last = 0;
        string[] ends = text.Split('-', StringSplitOptions.TrimEntries);
        return ushort.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out first) && first > 0
            && ends.Length == 2
            && ushort.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out last) && first <= last;
    }

    private static ulong MaskOf(int word, int first, int last)
    {
        int from = Math.Max(first - (word * 64), 0);
        int to = Math.Min(last - (word * 64), 63);
        return from > to ? 0 : (ulong.MaxValue << from) & (ulong.MaxValue >> (63 - to));
    }
}
