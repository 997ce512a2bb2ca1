namespace ClusterLb.Dataplane.Host;

/// <summary>What agent and dataplane say to each other: one JSON object per packet of the control socket.</summary>
/// <remarks>Fields may be added; another meaning of one needs another <see cref="CurrentProtocol"/>.</remarks>
public sealed record ControlMessage
{
    /// <summary>Raised when old and new no longer understand each other; then a new agent starts a new dataplane.</summary>
    public const int CurrentProtocol = 1;

    /// <summary>What this is.</summary>
    public required ControlKind Kind { get; init; }

    /// <summary>Number of a request, repeated in its reply. 0 for what nobody asked for.</summary>
    public long Id { get; init; }

    /// <summary>In a reply: why the request failed; absent if it did not.</summary>
    public string? Error { get; init; }

    /// <summary>Names of the descriptors that come with the message, in order: <c>maps/services4</c>, <c>flows/conntrack4</c>,
    /// <c>queue/0</c>, <c>lease</c>.</summary>
    public IReadOnlyList<string>? Descriptors { get; init; }

    /// <summary>In <see cref="ControlKind.Succeed"/>: names the files that were handed over; told back in the status.</summary>
    public string? Estate { get; init; }

    /// <summary>In the reply to <see cref="ControlKind.Status"/>.</summary>
    public DataplaneStatus? Status { get; init; }

    /// <summary>In <see cref="ControlKind.Flush"/>: which flows.</summary>
    public FlushRequest? Flush { get; init; }

    /// <summary>In the reply to <see cref="ControlKind.Flush"/>: flows that were removed.</summary>
    public long? Flushed { get; init; }

    /// <summary>In <see cref="ControlKind.Log"/>: how important, 0 (trace) to 5 (critical) as in Microsoft.Extensions.Logging.</summary>
    public int? LogLevel { get; init; }

    /// <summary>In <see cref="ControlKind.Log"/>: the line.</summary>
    public string? LogText { get; init; }
}
