using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What the maps shall say about one service, without ids: the reconciler knows those.</summary>
/// <param name="Service">Whose image it is.</param>
/// <param name="Ports">One per port and family; none if the service is gone or not proxied.</param>
/// <param name="Notices">What this release does not serve of the service, one line each; for the status, said once.</param>
public sealed record ServiceImage(ObjectName Service, IReadOnlyList<ServicePortImage> Ports, IReadOnlyList<string> Notices)
{
    /// <summary>Where two services claim one frontend, the older one has it.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>The marks of the service's active ClusterIPs.</summary>
    public IReadOnlyList<FrontendKey> AddressMarks { get; init; } = [];

    /// <summary>The image of a service that does not exist.</summary>
    public static ServiceImage Nothing(ObjectName service) => new(service, [], []);
}

/// <summary>A service port in one family.</summary>
/// <param name="Key">Its identity.</param>
/// <param name="Serving">All backends that serve, terminating ones included; every slot of a frontend is one of them.</param>
/// <param name="Frontends">What clients dial.</param>
public sealed record ServicePortImage(ServicePortKey Key, IReadOnlyList<BackendImage> Serving, IReadOnlyList<FrontendImage> Frontends);

/// <summary>A backend of a service port.</summary>
public readonly record struct BackendImage(BackendKey Key, BackendState State);

/// <summary>A frontend and the backends that it may choose from.</summary>
/// <param name="Key">What clients dial.</param>
/// <param name="Flags">As they stand in slot 0.</param>
/// <param name="Slots">Backends of the external scope, for most frontends the only one.</param>
public sealed record FrontendImage(FrontendKey Key, ServiceFlags Flags, IReadOnlyList<BackendKey> Slots)
{
    /// <summary>Backends of the internal scope; read only with <see cref="ServiceFlags.TwoScopes"/>.</summary>
    public IReadOnlyList<BackendKey> InternalSlots { get; init; } = [];

    /// <summary>How long a client stays with its backend; 0 without affinity.</summary>
    public uint AffinitySeconds { get; init; }

    /// <summary>How a new flow gets its backend.</summary>
    public SelectionAlgorithm Algorithm { get; init; } = SelectionAlgorithm.Random;
}
