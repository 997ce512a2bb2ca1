using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What a health check node port must answer for its service (R35).</summary>
/// <param name="Service">Whose port it is.</param>
/// <param name="Port">spec.healthCheckNodePort, never 0.</param>
/// <param name="LocalReadyIpv4">Distinct IPv4 addresses of ready backends on this node, over all ports of the slices; terminating ones do
/// not count, though they may still get traffic.</param>
/// <param name="LocalReadyIpv6">The same for IPv6.</param>
/// <param name="Families">The families that the service takes part in: it is listened for in these alone.</param>
public sealed record ServiceHealth(ObjectName Service, ushort Port, int LocalReadyIpv4, int LocalReadyIpv6, Families Families)
{
    /// <summary>Null if the service must not be listened for: only type LoadBalancer with external policy Local and a port is.</summary>
    public static ServiceHealth? Of(ServiceState state, string nodeName) =>
        state.Service is { Type: ServiceType.LoadBalancer, ExternalTrafficPolicy: TrafficPolicy.Local, HealthCheckNodePort: not 0 } service
            ? new ServiceHealth(
                service.Name, service.HealthCheckNodePort, LocalReady(state, nodeName, isIpv4: true), LocalReady(state, nodeName, isIpv4: false),
                service.Families)
            : null;

    /// <summary>Distinct addresses of ready backends on this node, over all ports that the slices name.</summary>
    public static int LocalReady(ServiceState state, string nodeName, bool isIpv4) => state.Slices
        .Where(slice => slice.IsIpv4 == isIpv4)
        .SelectMany(slice => slice.Ports)
        .Select(port => (port.Name, port.Protocol))
        .Distinct()
        .SelectMany(port => BackendSets.LocalReadyOf(state.Slices, port.Name, port.Protocol, isIpv4, nodeName))
        .Select(backend => backend.Address)
        .Distinct()
        .Count();
}
