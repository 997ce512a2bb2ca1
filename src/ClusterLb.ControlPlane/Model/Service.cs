using System.Collections.Immutable;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Model;

/// <summary>What ClusterLb knows of a Service object: only the fields it acts upon, already validated. Immutable.</summary>
public sealed record Service
{
    /// <summary>Namespace and name.</summary>
    public required ObjectName Name { get; init; }

    /// <summary>metadata.creationTimestamp: where two services claim one frontend, the older one has it.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>spec.type.</summary>
    public ServiceType Type { get; init; }

    /// <summary>spec.clusterIPs, at most one per family; the service takes part in the families it has here (R2).</summary>
    public ImmutableArray<IpAddr> ClusterIps { get; init; } = [];

    /// <summary>The families of <see cref="ClusterIps"/>.</summary>
    public Families Families
    {
        get
        {
            Families families = Families.None;
            foreach (IpAddr address in ClusterIps)
            {
                families |= address.IsIpv4 ? Families.Ipv4 : Families.Ipv6;
            }

            return families;
        }
    }

    /// <summary>spec.externalIPs of the service's families.</summary>
    public ImmutableArray<IpAddr> ExternalIps { get; init; } = [];

    /// <summary>status.loadBalancer.ingress[].ip with ipMode VIP, of the service's families (R3).</summary>
    public ImmutableArray<IpAddr> LoadBalancerIps { get; init; } = [];

    /// <summary>spec.loadBalancerSourceRanges of both families.</summary>
    public ImmutableArray<IpPrefix> SourceRanges { get; init; } = [];

    /// <summary>spec.ports without those that were refused.</summary>
    public ImmutableArray<ServicePort> Ports { get; init; } = [];

    /// <summary>Governs the ClusterIP only (R19).</summary>
    public TrafficPolicy InternalTrafficPolicy { get; init; }

    /// <summary>Governs external frontends only (R19).</summary>
    public TrafficPolicy ExternalTrafficPolicy { get; init; }

    /// <summary>How long a client stays with its backend; 0 without session affinity.</summary>
    public int AffinitySeconds { get; init; }

    /// <summary>How a backend is chosen, by annotation; else as the configuration says.</summary>
    public SelectionAlgorithm Algorithm { get; init; }

    /// <summary>What becomes of TCP connections whose backend has left, by annotation; else as the configuration says.</summary>
    public BackendGonePolicy BackendGone { get; init; }

    /// <summary>Another service's share of the new connections, by annotation; null without one.</summary>
    public TrafficSplit? Split { get; init; }

    /// <summary>spec.healthCheckNodePort; 0 if there is none.</summary>
    public ushort HealthCheckNodePort { get; init; }

    /// <summary>When the change to this state happened. Not compared.</summary>
    public ChangeTimes Times { get; init; }

    /// <summary>Compares contents: an update that changes no field we read is no change.</summary>
    public bool Equals(Service? other) =>
        other is not null && Name == other.Name && CreatedAt == other.CreatedAt && Type == other.Type
        && ClusterIps.AsSpan().SequenceEqual(other.ClusterIps.AsSpan())
        && ExternalIps.AsSpan().SequenceEqual(other.ExternalIps.AsSpan())
        && LoadBalancerIps.AsSpan().SequenceEqual(other.LoadBalancerIps.AsSpan())
        && SourceRanges.AsSpan().SequenceEqual(other.SourceRanges.AsSpan())
        && Ports.AsSpan().SequenceEqual(other.Ports.AsSpan())
        && InternalTrafficPolicy == other.InternalTrafficPolicy && ExternalTrafficPolicy == other.ExternalTrafficPolicy
        && AffinitySeconds == other.AffinitySeconds && Algorithm == other.Algorithm && BackendGone == other.BackendGone && Split == other.Split && HealthCheckNodePort == other.HealthCheckNodePort;

    /// <inheritdoc/>
    public override int GetHashCode() => Name.GetHashCode();
}
