namespace ClusterLb.Agent.Replay;

/// <summary>What became of all packets of a capture.</summary>
public sealed record ReplaySummary
{
    /// <summary>Packets of the capture.</summary>
    public int Packets { get; init; }

    /// <summary>Seconds from the first to the latest.</summary>
    public double Seconds { get; init; }

    /// <summary>Packets by verdict, skipped ones included.</summary>
    public SortedDictionary<string, int> Verdicts { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Drops and rejections by reason.</summary>
    public SortedDictionary<string, int> Reasons { get; init; } = new(StringComparer.Ordinal);

    /// <summary>New flows by backend.</summary>
    public SortedDictionary<string, int> Backends { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Flows that began.</summary>
    public int NewFlows { get; init; }

    /// <summary>Flows that are remembered at the end.</summary>
    public int FlowsLeft { get; init; }

    /// <summary>Packets of which the capture holds only the beginning.</summary>
    public int Cut { get; init; }

    /// <summary>Packets that broke a promise of the dataplane.</summary>
    public int Broken { get; init; }

    /// <summary>Of the random choices.</summary>
    public ulong Seed { get; init; }
}
