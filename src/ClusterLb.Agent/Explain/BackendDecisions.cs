using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Explain;

/// <summary>How the compiler came to the sets of backends of a service port, in words.</summary>
/// <param name="Hints">Whether hints narrowed the cluster set, and why not; null if no ready backend has one.</param>
/// <param name="Backends">All, by address.</param>
public sealed record BackendDecisions(string? Hints, IReadOnlyList<BackendDecision> Backends)
{
    /// <summary>Of a service port as <see cref="ServicePortKey"/> spells it; null if the store does not know it.</summary>
    /// <param name="store">What the control plane knows.</param>
    /// <param name="servicePort"><c>namespace/name:port</c>.</param>
    /// <param name="protocol">Of the port.</param>
    /// <param name="isIpv4">The family.</param>
    public static BackendDecisions? Of(ClusterStateStore store, string servicePort, IpProtocol protocol, bool isIpv4)
    {
        if (!ServicePortKey.TryParse(servicePort, protocol, isIpv4, out ServicePortKey key))
        {
            return null;
        }

        var node = new NodeView(store.NodeName, store.Node?.Zone ?? "");
        return ServicePortReport.Of(store.Get(key.Service), node).FirstOrDefault(report => report.Key == key) is { } found
            ? new BackendDecisions(found.Topology?.Why, [.. found.Backends.Select(b => new BackendDecision(Wording.AddressOf(b.Key.Address, b.Key.Port, b.Key.Protocol), b.NotInClusterSet, b.NotInLocalSet))])
            : null;
    }
}

/// <summary>A backend, and for each set why it is not in it.</summary>
/// <param name="Backend"><c>10.244.1.5:8080/TCP</c>.</param>
/// <param name="NotInClusterSet">Null if policy Cluster may choose it.</param>
/// <param name="NotInLocalSet">Null if policy Local may choose it.</param>
public sealed record BackendDecision(string Backend, string? NotInClusterSet, string? NotInLocalSet);
