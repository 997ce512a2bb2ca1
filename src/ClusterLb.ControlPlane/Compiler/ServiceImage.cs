using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What the maps shall say about one service, without ids: the reconciler knows those.</summary>
/// <param name="Service">Whose image it is.</param>
/// <param name="Ports">One per port and family; none if the service is gone or not proxied.</param>
/// <param name="Notices">What of the service cannot be done, as only the objects together show; for the status, said once.</param>
public sealed record ServiceImage(ObjectName Service, IReadOnlyList<ServicePortImage> Ports, IReadOnlyList<ObjectProblem> Notices)
{
    /// <summary>What the service's health check node port answers; null if it has none (type LoadBalancer with external policy Local only).</summary>
    public ServiceHealth? Health { get; init; }

    /// <summary>Where two services claim one frontend, the older one has it.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Addresses of the service that are known whatever the port.</summary>
    public IReadOnlyList<AddressMark> AddressMarks { get; init; } = [];

    /// <summary>spec.externalIPs, whether they are frontends here or not.</summary>
    public ImmutableArray<IpAddr> ExternalIps { get; init; } = [];

    /// <summary>The image of a service that does not exist.</summary>
    public static ServiceImage Nothing(ObjectName service) => new(service, [], []);
}

/// <summary>A service port in one family.</summary>
/// <param name="Key">Its identity.</param>
/// <param name="Serving">All backends that serve, terminating ones included; every slot of a frontend is one of them.</param>
/// <param name="Frontends">What clients dial.</param>
public sealed record ServicePortImage(ServicePortKey Key, IReadOnlyList<BackendImage> Serving, IReadOnlyList<FrontendImage> Frontends)
{
    /// <summary>Backends that the slices still name, though they serve nobody.</summary>
    public IReadOnlyList<BackendKey> NotServing { get; init; } = [];

    /// <summary>What becomes of TCP connections whose backend has left; the default is what the configuration says.</summary>
    public BackendGonePolicy BackendGone { get; init; }

    /// <summary>Sources that frontends with <see cref="ServiceFlags.SourceRange"/> let in; of the port's own family.</summary>
    public IReadOnlyList<IpPrefix> SourceRanges { get; init; } = [];

    /// <summary>Whether hints narrowed the cluster set; null if no ready backend has one.</summary>
    public TopologyDecision? Topology { get; init; }

    /// <summary>The internal traffic policy is Local and no usable backend is here, though there are some elsewhere (R16).</summary>
    public bool LacksInternalLocal { get; init; }

    /// <summary>As <see cref="LacksInternalLocal"/>, for the external traffic policy of a port that has an external frontend.</summary>
    public bool LacksExternalLocal { get; init; }
}

/// <summary>A backend of a service port.</summary>
public readonly record struct BackendImage(BackendKey Key, BackendState State);

/// <summary>A frontend and the backends that it may choose from.</summary>
/// <param name="Key">What clients dial.</param>
/// <param name="Flags">As they stand in slot 0.</param>
/// <param name="Slots">Backends of the external scope, for most frontends the only one.</param>
/// <remarks>A node port stands at the address of zeros of its family: the pipeline looks there when a packet is for an address of this
/// node on which node ports answer.</remarks>
public sealed record FrontendImage(FrontendKey Key, ServiceFlags Flags, IReadOnlyList<BackendKey> Slots)
{
    /// <summary>Backends of the internal scope; read only with <see cref="ServiceFlags.TwoScopes"/>.</summary>
    public IReadOnlyList<BackendKey> InternalSlots { get; init; } = [];

    /// <summary>How long a client stays with its backend; 0 without affinity.</summary>
    public uint AffinitySeconds { get; init; }

    /// <summary>How a new flow gets its backend; the default is what the configuration says.</summary>
    public SelectionAlgorithm Algorithm { get; init; }

    /// <summary>Percent of the new flows for <see cref="CanarySlots"/>; 0 without a split.</summary>
    public uint SharePercent { get; init; }

    /// <summary>Backends of the other service, beside <see cref="Slots"/>.</summary>
    public IReadOnlyList<BackendKey> CanarySlots { get; init; } = [];

    /// <summary>Backends of the other service, beside <see cref="InternalSlots"/>.</summary>
    public IReadOnlyList<BackendKey> InternalCanarySlots { get; init; } = [];

    /// <summary>All sets of slots that the maps shall hold, canaries before what leads to them.</summary>
    public IEnumerable<(LookupScope Scope, IReadOnlyList<BackendKey> Slots)> Scopes()
    {
        bool hasTwoScopes = Flags.HasFlag(ServiceFlags.TwoScopes);
        if (SharePercent > 0)
        {
            yield return (LookupScope.ExternalCanary, CanarySlots);
            if (hasTwoScopes)
            {
                yield return (LookupScope.InternalCanary, InternalCanarySlots);
            }
        }

        if (hasTwoScopes)
        {
            yield return (LookupScope.Internal, InternalSlots);
        }

        yield return (LookupScope.External, Slots);
    }
}
