namespace ClusterLb.Agent;

/// <summary>How a packet's source is known to be a pod's (detectLocalMode of kube-proxy).</summary>
public enum DetectLocalMode
{
    /// <summary>It lies in <see cref="AgentOptions.ClusterCidrs"/>. With none of its family nobody is known to be a pod.</summary>
    ClusterCidr,

    /// <summary>It lies in the pod CIDRs of this node's Node object.</summary>
    NodeCidr,

    /// <summary>Not at all.</summary>
    None,
}
