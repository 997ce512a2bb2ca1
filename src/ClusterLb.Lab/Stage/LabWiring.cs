namespace ClusterLb.Lab.Stage;

/// <summary>How a node's pods are attached to it.</summary>
public enum LabWiring
{
    /// <summary>Each by a link and a route of its own, as the AWS VPC CNI does it.</summary>
    Routed,

    /// <summary>As ports of a Linux bridge, as flannel and the bridge CNI do it; the node's rules see switched packets (br_netfilter is on).</summary>
    BridgedWithNetfilter,

    /// <summary>As ports of a Linux bridge that switches past the node's rules (br_netfilter is off).</summary>
    Bridged,
}
