namespace ClusterLb.Agent.Explain;

/// <summary>What happens to a packet that begins a connection, and why.</summary>
public sealed record Explanation
{
    /// <summary>TCP, UDP, SCTP or ICMP.</summary>
    public required string Protocol { get; init; }

    /// <summary>Address and port of the client.</summary>
    public required string Source { get; init; }

    /// <summary>Address and port that it dials.</summary>
    public required string Destination { get; init; }

    /// <summary>What the source is: pod, this node, outside.</summary>
    public required string SourceKind { get; init; }

    /// <summary>What the destination is: service range, node address, neither.</summary>
    public required string DestinationKind { get; init; }

    /// <summary>forward, reject, drop or pass.</summary>
    public required string Verdict { get; init; }

    /// <summary>The drop reason's name; null if the packet is forwarded or passed.</summary>
    public string? Reason { get; init; }

    /// <summary>Why, in one sentence.</summary>
    public required string Why { get; init; }

    /// <summary>The frontend that matched; null if none did.</summary>
    public ExplainedFrontend? Frontend { get; init; }

    /// <summary>Without a match: frontends that differ in one thing, and in what.</summary>
    public IReadOnlyList<string>? NearMisses { get; init; }

    /// <summary>Every backend that a new connection may get, as packets through the pipeline have shown.</summary>
    public IReadOnlyList<ExplainedBackend> Backends { get; init; } = [];

    /// <summary>Whether hints of the backends were used, and if not why; null if none has one, or nobody knows.</summary>
    public string? Hints { get; init; }

    /// <summary>Backends of the service port that this source cannot get; null if nobody knows.</summary>
    public IReadOnlyList<LeftOutBackend>? LeftOut { get; init; }

    /// <summary>Why nobody knows of hints and of who is left out; null if somebody does.</summary>
    public string? LeftOutUnknown { get; init; }

    /// <summary>A rejected packet's answer, as one line.</summary>
    public string? Answer { get; init; }

    /// <summary>A live flow that packets of this very tuple follow instead of all this; null if there is none or nobody looked.</summary>
    public string? LiveFlow { get; init; }

    /// <summary>Why nobody could look for a live flow; null if somebody did, or there are only manifests.</summary>
    public string? LiveFlowUnknown { get; init; }

    /// <summary>With what the compiler decided about the frontend's backends.</summary>
    public Explanation With(BackendDecisions decisions) => this with
    {
        Hints = Frontend?.Set == "Local" ? null : decisions.Hints, // they never narrow a local set
        LeftOut =
        [
            .. decisions.Backends
                .Select(b => (b.Backend, Why: Frontend?.Set == "Local" ? b.NotInLocalSet : b.NotInClusterSet))
                .Where(b => b.Why is not null)
                .Select(b => new LeftOutBackend(b.Backend, b.Why!)),
        ],
    };
}
