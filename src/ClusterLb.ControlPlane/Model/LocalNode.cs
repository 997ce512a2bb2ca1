using System.Collections.Immutable;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Model;

/// <summary>What the Node object of this node says. There may be none yet: that is normal.</summary>
public sealed record LocalNode
{
    /// <summary>metadata.name.</summary>
    public required string Name { get; init; }

    /// <summary>Label topology.kubernetes.io/zone; empty if unset: then zone hints are not used (R13).</summary>
    public string Zone { get; init; } = "";

    /// <summary>status.addresses of type InternalIP, else ExternalIP, in their order.</summary>
    public ImmutableArray<IpAddr> Addresses { get; init; } = [];

    /// <summary>spec.podCIDRs.</summary>
    public ImmutableArray<IpPrefix> PodRanges { get; init; } = [];

    /// <summary>The autoscaler is about to remove the node, or its object is being deleted or was: new connections should go elsewhere.</summary>
    public bool IsDraining { get; init; }

    /// <inheritdoc/>
    public bool Equals(LocalNode? other) =>
        other is not null && Name == other.Name && Zone == other.Zone && IsDraining == other.IsDraining
        && Addresses.AsSpan().SequenceEqual(other.Addresses.AsSpan()) && PodRanges.AsSpan().SequenceEqual(other.PodRanges.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);
}
