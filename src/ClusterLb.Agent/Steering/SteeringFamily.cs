using System.Collections.Immutable;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Steering;

/// <summary>What is steered in one address family.</summary>
public sealed record SteeringFamily
{
    /// <summary>False: IPv4.</summary>
    public required bool IsIpv6 { get; init; }

    /// <summary>Source address of the node's own connections to services. Null: the node has none (any more).</summary>
    public IpAddr? Source { get; init; }

    /// <summary>What goes to the service table: service ranges.</summary>
    /// <remarks>Never an address that is assigned to this node: it would no longer answer ARP for it.</remarks>
    public ImmutableSortedSet<IpPrefix> Destinations { get; init; } = [];

    /// <summary>Node ports in use.</summary>
    public ImmutableSortedSet<(IpProtocol Protocol, ushort Port)> NodePorts { get; init; } = [];

    /// <summary>Node addresses on which they answer; null: on all local ones.</summary>
    public ImmutableSortedSet<IpAddr>? NodePortAddresses { get; init; }

    /// <summary>Frontends at load balancer and external addresses.</summary>
    public ImmutableHashSet<FrontendKey> Frontends { get; init; } = [];

    /// <summary>Load balancer addresses whose pings are answered, where they are not this node's.</summary>
    public ImmutableSortedSet<IpAddr> Pinged { get; init; } = [];

    /// <inheritdoc/>
    public bool Equals(SteeringFamily? other) =>
        other is not null && IsIpv6 == other.IsIpv6 && Source == other.Source && Destinations.SetEquals(other.Destinations)
        && NodePorts.SetEquals(other.NodePorts) && Frontends.SetEquals(other.Frontends) && Pinged.SetEquals(other.Pinged)
        && (NodePortAddresses is null ? other.NodePortAddresses is null : other.NodePortAddresses is { } addresses && NodePortAddresses.SetEquals(addresses));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(IsIpv6, Source, Destinations.Count, NodePorts.Count, Frontends.Count);
}
