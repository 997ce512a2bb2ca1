using System.Collections.Immutable;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Model;

/// <summary>One address that serves (or served, or will serve) a service: a pod, seen from its slice.</summary>
/// <param name="Address">addresses[0]; the others do not count (R8).</param>
/// <param name="Conditions">Unset conditions are resolved already (R6).</param>
/// <param name="NodeName">Empty if unset: then it is remote (R10).</param>
/// <param name="Hints">Null without hints.</param>
public readonly record struct Backend(IpAddr Address, BackendConditions Conditions, string NodeName, TopologyHints? Hints)
{
    /// <summary>Gets new connections.</summary>
    public bool IsReady => Conditions.HasFlag(BackendConditions.Ready);

    /// <summary>Answers, whether or not it gets new connections.</summary>
    public bool IsServing => IsReady || Conditions.HasFlag(BackendConditions.Serving);

    /// <summary>Is being shut down.</summary>
    public bool IsTerminating => Conditions.HasFlag(BackendConditions.Terminating);

    /// <summary>Gets new connections only while nobody is ready (R7).</summary>
    public bool IsFallback => !IsReady && IsTerminating && Conditions.HasFlag(BackendConditions.Serving);
}

/// <summary>endpoints[].conditions.</summary>
[Flags]
public enum BackendConditions : byte
{
    /// <summary>None holds.</summary>
    None = 0,

    /// <summary>ready.</summary>
    Ready = 1,

    /// <summary>serving.</summary>
    Serving = 2,

    /// <summary>terminating.</summary>
    Terminating = 4,
}

/// <summary>endpoints[].hints: for which nodes and zones the backend is meant.</summary>
public sealed record TopologyHints(ImmutableArray<string> Nodes, ImmutableArray<string> Zones)
{
    /// <inheritdoc/>
    public bool Equals(TopologyHints? other) =>
        other is not null && Nodes.AsSpan().SequenceEqual(other.Nodes.AsSpan()) && Zones.AsSpan().SequenceEqual(other.Zones.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Nodes.Length, Zones.Length);
}
