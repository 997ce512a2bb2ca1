using ClusterLb.Dataplane;

namespace ClusterLb.Testing;

/// <summary>What <see cref="ReferenceServices"/> says must become of a connection.</summary>
public sealed record ReferenceOutcome(Verdict Verdict)
{
    /// <summary>Every possible backend, and whether it sees an address of the node.</summary>
    public IReadOnlyDictionary<string, bool> Backends { get; init; } = new Dictionary<string, bool>();

    public override string ToString() =>
        string.Join(' ', Backends.OrderBy(b => b.Key, StringComparer.Ordinal).Select(b => b.Key + (b.Value ? " (masqueraded)" : "")).Prepend(Verdict.ToString()));
}
