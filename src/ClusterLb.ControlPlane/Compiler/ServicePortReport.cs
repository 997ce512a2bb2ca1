using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>How the compiler came to the backends of a service port: for <c>explain</c>.</summary>
/// <param name="Key">Its identity.</param>
/// <param name="Topology">Whether hints were used; null if nobody has one.</param>
/// <param name="Backends">All of them, whether or not they can be chosen, by address.</param>
public sealed record ServicePortReport(ServicePortKey Key, TopologyDecision? Topology, IReadOnlyList<BackendReport> Backends)
{
    /// <summary>One report per port and family; none if the service is not proxied.</summary>
    public static IReadOnlyList<ServicePortReport> Of(ServiceState state, NodeView node)
    {
        var reports = new List<ServicePortReport>();
        foreach (IpAddr clusterIp in state.Service?.ClusterIps ?? [])
        {
            foreach (ServicePort port in state.Service!.Ports)
            {
                BackendSets sets = BackendSets.Of(state.Slices, port.Name, port.Protocol, clusterIp.IsIpv4, node.Name, node.Zone);
                reports.Add(new ServicePortReport(
                    new ServicePortKey(state.Name, port.Name, port.Protocol, clusterIp.IsIpv4), sets.Topology, sets.Report(node)));
            }
        }

        return reports;
    }
}
