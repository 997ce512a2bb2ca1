namespace ClusterLb.Agent;

/// <summary>How a packet's source is known to be a pod's (detectLocalMode of kube-proxy).</summary>
public enum DetectLocalMode
{
    /// <summary>It lies in <see cref="AgentOptions.ClusterCidrs"/>. With none of its family nobody is known to be a pod.</summary>
    ClusterCidr,

    /// <summary>It lies in the pod CIDRs of this node's Node object.</summary>
    NodeCidr,

    /// <summary>It is reached by a route that leaves by the bridge <see cref="AgentOptions.LocalInterface"/>.</summary>
    /// <remarks>kube-proxy looks at the interface that a packet came in by. A packet read from a TUN device does not tell it.</remarks>
    BridgeInterface,

    /// <summary>As before, by any interface whose name begins with <see cref="AgentOptions.LocalInterface"/>.</summary>
    InterfaceNamePrefix,
}
