using ClusterLb.Dataplane;

namespace ClusterLb.Lab.Stage;

/// <summary>How a service of the lab is reached from outside: node ports, and addresses if there are any.</summary>
/// <param name="FirstNodePort">The node port of port N is this plus N, whatever the protocol.</param>
public sealed record LabExposure(int FirstNodePort)
{
    /// <summary>externalTrafficPolicy is Local.</summary>
    public bool IsLocal { get; init; }

    /// <summary>status.loadBalancer; with some the service is of type LoadBalancer.</summary>
    public IReadOnlyList<IpAddr> LoadBalancerIps { get; init; } = [];

    /// <summary>spec.loadBalancerSourceRanges.</summary>
    public IReadOnlyList<IpPrefix> SourceRanges { get; init; } = [];

    /// <summary>spec.externalIPs.</summary>
    public IReadOnlyList<IpAddr> ExternalIps { get; init; } = [];
}
