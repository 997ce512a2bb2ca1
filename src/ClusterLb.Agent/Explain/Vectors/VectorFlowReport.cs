using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Explain.Vectors;

/// <summary>What became of one flow.</summary>
public sealed record VectorFlowReport
{
    /// <summary>The flow's.</summary>
    public required string Name { get; init; }

    /// <summary>forward, reject, drop or pass; null if the flow was skipped.</summary>
    public string? Verdict { get; init; }

    /// <summary>Every backend that is possible, in the order of their text.</summary>
    public IReadOnlyList<string> Backends { get; init; } = [];

    /// <summary>Of a forwarded flow: whether all its backends see this node's address.</summary>
    public bool? Masquerade { get; init; }

    /// <summary>Where backends differ in it.</summary>
    public IReadOnlyDictionary<string, bool>? MasqueradeByBackend { get; init; }

    /// <summary>The frontend that matched: <c>10.96.0.10:80/TCP</c>.</summary>
    public string? Frontend { get; init; }

    /// <summary>Its service: <c>namespace/name:port</c>.</summary>
    public string? Service { get; init; }

    /// <summary>The drop reason of a flow that is dropped or rejected.</summary>
    public string? Reason { get; init; }

    /// <summary>The reason in a sentence.</summary>
    public string? Why { get; init; }

    /// <summary>Connections per backend, where many were opened.</summary>
    public IReadOnlyDictionary<string, int>? Connections { get; init; }

    /// <summary>Null: not tried.</summary>
    public bool? Pass { get; init; }

    /// <summary>What was not as expected.</summary>
    public IReadOnlyList<string>? Failures { get; init; }

    /// <summary>Why the flow was not tried.</summary>
    [JsonPropertyName("skipped")]
    public string? SkipReason { get; init; }
}
