using System.Collections.Concurrent;
using System.Collections.Immutable;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>What the control plane is told of the network: by options, Node object and the services that were seen.</summary>
/// <remarks>The agent and <c>explain</c> tell it the same. Remembers the services that it has seen. Not thread-safe.</remarks>
internal sealed class ClusterNetwork(AgentOptions options, ClusterStateStore store)
{
    private readonly ServiceRangeGuess _guess = new();
    private readonly ConcurrentQueue<Service> _put = new();
    private bool _isFollowing; // only when ranges have to be guessed

    /// <summary>Who says where service addresses come from.</summary>
    public ServiceRangeOrigin RangeOrigin => !store.ServiceCidrs.IsEmpty ? ServiceRangeOrigin.Cluster
        : options.ServiceCidrs.Count > 0 ? ServiceRangeOrigin.Configured : ServiceRangeOrigin.Guessed;

    /// <summary>The inputs as they are now.</summary>
    /// <param name="nodeAddresses">All addresses of the node, without loopback.</param>
    /// <param name="behindLocalInterfaces">Who is behind the interfaces of <see cref="AgentOptions.LocalInterface"/>.</param>
    public NetworkInputs Inputs(ImmutableArray<IpAddr> nodeAddresses, ImmutableArray<IpPrefix> behindLocalInterfaces) => new()
    {
        ServiceRanges = ServiceRanges(nodeAddresses),
        PodRanges = options.DetectsByInterface ? behindLocalInterfaces : [.. options.ClusterCidrs],
        Detection = options.DetectLocalMode switch
        {
            DetectLocalMode.NodeCidr => LocalDetection.NodePodRanges,
            DetectLocalMode.BridgeInterface or DetectLocalMode.InterfaceNamePrefix => LocalDetection.Interfaces,
            _ when options.ClusterCidrs.Count > 0 => LocalDetection.PodRanges,
            _ => LocalDetection.None,
        },
        NodeAddresses = nodeAddresses,
        PrimaryIpv4 = options.PrimaryAddress is { IsIpv4: true } ipv4 ? ipv4 : null,
        PrimaryIpv6 = options.PrimaryAddress is { IsIpv4: false } ipv6 ? ipv6 : null,
        NodePortRanges = [.. options.NodePortAddresses],
        NodePortsOnPrimaryOnly = options.NodePortsOnPrimaryOnly,
        LocalhostNodePorts = options.LocalhostNodePorts,
        DropsMidStream = options.Conntrack.DropMidStream,
        AnswersPing = options.Dataplane.AnswerPing,
        ServesExternalIps = options.ServesExternalIps,
        MasqueradeAll = options.MasqueradeAll,
        Timeouts = options.Conntrack.ToTimeouts(),
    };

    private ImmutableArray<IpPrefix> ServiceRanges(ImmutableArray<IpAddr> nodeAddresses)
    {
        if (RangeOrigin != ServiceRangeOrigin.Guessed)
        {
            ForgetServices();
            return RangeOrigin == ServiceRangeOrigin.Cluster ? store.ServiceCidrs : [.. options.ServiceCidrs];
        }

        LookAtServices();
        IEnumerable<IpPrefix> podRanges = options.DetectLocalMode == DetectLocalMode.NodeCidr ? store.Node?.PodRanges ?? [] : options.ClusterCidrs;
        return _guess.Ranges(nodeAddresses, podRanges);
    }

    /// <summary>All services once, then only those that come: this is asked for after every sync.</summary>
    private void LookAtServices()
    {
        if (!_isFollowing)
        {
            _isFollowing = true;
            store.ServicePut += _put.Enqueue; // before the look, so that none is missed
            foreach (ObjectName name in store.ServiceNames())
            {
                Look(store.Get(name).Service);
            }
        }

        while (_put.TryDequeue(out Service? service))
        {
            Look(service);
        }
    }

    /// <summary>Nobody will ask soon: what comes must not pile up.</summary>
    private void ForgetServices()
    {
        store.ServicePut -= _put.Enqueue;
        _isFollowing = false;
        _put.Clear();
    }

    private void Look(Service? service)
    {
        foreach (IpAddr address in service?.ClusterIps ?? [])
        {
            _guess.Add(address);
        }
    }
}
