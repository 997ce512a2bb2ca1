using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>From one service and its slices to what the maps shall say. Pure: the same input gives the same image.</summary>
public static class ServiceCompiler
{
    /// <summary>Compiles one service as this node sees it.</summary>
    /// <param name="state">The service and its backends.</param>
    /// <param name="nodeName">This node: decides which backends are local.</param>
    /// <param name="zone">This node's zone; empty if unknown.</param>
    public static ServiceImage Compile(ServiceState state, string nodeName, string zone)
    {
        if (state.Service is not { } service || service.ClusterIps.IsEmpty)
        {
            return ServiceImage.Nothing(state.Name);
        }

        var ports = new List<ServicePortImage>(service.Ports.Length * service.ClusterIps.Length);
        foreach (IpAddr clusterIp in service.ClusterIps)
        {
            foreach (ServicePort port in service.Ports)
            {
                ports.Add(CompilePort(service, port, clusterIp, state.Slices, nodeName, zone));
            }
        }

        return new ServiceImage(service.Name, ports, Notices(service))
        {
            CreatedAt = service.CreatedAt,
            AddressMarks = [.. service.ClusterIps.Select(ip => new FrontendKey(ip, 0, IpProtocol.Any))],
        };
    }

    private static ServicePortImage CompilePort(
        Service service, ServicePort port, IpAddr clusterIp, ImmutableArray<BackendSlice> slices, string nodeName, string zone)
    {
        BackendSets sets = BackendSets.Of(slices, port.Name, port.Protocol, clusterIp.IsIpv4, nodeName, zone);
        bool isLocal = service.InternalTrafficPolicy == TrafficPolicy.Local;

        ServiceFlags flags = sets.AnyUsable ? ServiceFlags.EndpointsExist : ServiceFlags.None;
        flags |= isLocal ? ServiceFlags.InternalLocalScope : ServiceFlags.None;

        var frontend = new FrontendImage(
            new FrontendKey(clusterIp, port.Port, port.Protocol), flags, isLocal ? sets.Local : sets.Cluster);
        return new ServicePortImage(
            new ServicePortKey(service.Name, port.Name, port.Protocol, clusterIp.IsIpv4), sets.Serving, [frontend]);
    }

    private static List<string> Notices(Service service)
    {
        var notices = new List<string>();
        if (service.Ports.Any(p => p.NodePort != 0))
        {
            notices.Add("node ports are not served yet");
        }

        if (!service.LoadBalancerIps.IsEmpty)
        {
            notices.Add("addresses of status.loadBalancer are not served yet");
        }

        if (!service.ExternalIps.IsEmpty)
        {
            notices.Add("externalIPs are not served yet");
        }

        if (service.AffinitySeconds != 0)
        {
            notices.Add("sessionAffinity ClientIP is not honoured yet");
        }

        return notices;
    }
}
