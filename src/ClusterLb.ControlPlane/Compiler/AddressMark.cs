using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>An address of a service at which more than its ports is known: unowned ports of a ClusterIP are refused (R18), pings of a load
/// balancer's address are answered.</summary>
/// <param name="Address">The address.</param>
/// <param name="Kind">None for a ClusterIP; else <see cref="ServiceFlags.LoadBalancer"/>, with <see cref="ServiceFlags.SourceRange"/> if only
/// the service's sources get an answer.</param>
public readonly record struct AddressMark(IpAddr Address, ServiceFlags Kind = ServiceFlags.None)
{
    /// <summary>Where it stands in the map.</summary>
    public FrontendKey Key => KeyOf(Address);

    /// <summary>Where the mark of an address stands.</summary>
    public static FrontendKey KeyOf(IpAddr address) => new(address, 0, IpProtocol.Any);
}
