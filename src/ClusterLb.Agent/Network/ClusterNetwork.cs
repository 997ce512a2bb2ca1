using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>What the control plane is told of the network: by options, Node object and the services that were seen.</summary>
/// <remarks>The agent and <c>explain</c> tell it the same. Remembers the services that it has seen. Not thread-safe.</remarks>
internal sealed class ClusterNetwork(AgentOptions options, ClusterStateStore store)
{
    private readonly ServiceRangeGuess _guess = new();

    /// <summary>Who says where service addresses come from.</summary>
    public ServiceRangeOrigin RangeOrigin => !store.ServiceCidrs.IsEmpty ? ServiceRangeOrigin.Cluster
        : options.ServiceCidrs.Count > 0 ? ServiceRangeOrigin.Configured : ServiceRangeOrigin.Guessed;

    /// <summary>The inputs as they are now.</summary>
    /// <param name="nodeAddresses">All addresses of the node, without loopback.</param>
    public NetworkInputs Inputs(ImmutableArray<IpAddr> nodeAddresses) => new()
    {
        ServiceRanges = ServiceRanges(nodeAddresses),
        PodRanges = [.. options.ClusterCidrs],
        Detection = options.DetectLocalMode switch
        {
            DetectLocalMode.NodeCidr => LocalDetection.NodePodRanges,
            DetectLocalMode.ClusterCidr when options.ClusterCidrs.Count > 0 => LocalDetection.PodRanges,
            _ => LocalDetection.None,
        },
        NodeAddresses = nodeAddresses,
        PrimaryIpv4 = options.PrimaryAddress is { IsIpv4: true } ipv4 ? ipv4 : null,
        PrimaryIpv6 = options.PrimaryAddress is { IsIpv4: false } ipv6 ? ipv6 : null,
        NodePortRanges = [.. options.NodePortAddresses],
        NodePortsOnPrimaryOnly = options.NodePortsOnPrimaryOnly,
        LocalhostNodePorts = options.LocalhostNodePorts,
        MasqueradeAll = options.MasqueradeAll,
        Timeouts = options.Conntrack.ToTimeouts(),
    };

    private ImmutableArray<IpPrefix> ServiceRanges(ImmutableArray<IpAddr> nodeAddresses)
    {
        switch (RangeOrigin)
        {
            case ServiceRangeOrigin.Cluster:
                return store.ServiceCidrs;
            case ServiceRangeOrigin.Configured:
                return [.. options.ServiceCidrs];
        }

        foreach (ObjectName name in store.ServiceNames())
        {
            foreach (IpAddr address in store.Get(name).Service?.ClusterIps ?? [])
            {
                _guess.Add(address);
            }
        }

        IEnumerable<IpPrefix> podRanges = options.DetectLocalMode == DetectLocalMode.NodeCidr ? store.Node?.PodRanges ?? [] : options.ClusterCidrs;
        return _guess.Ranges(nodeAddresses, podRanges);
    }
}
