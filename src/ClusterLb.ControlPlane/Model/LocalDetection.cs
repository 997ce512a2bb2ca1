namespace ClusterLb.ControlPlane.Model;

/// <summary>How a packet's source is known to be a pod (detectLocal of the configuration).</summary>
public enum LocalDetection : byte
{
    /// <summary>By <see cref="NetworkInputs.PodRanges"/>.</summary>
    PodRanges = 0,

    /// <summary>By the pod CIDRs of this node's Node object.</summary>
    NodePodRanges = 1,

    /// <summary>Not at all: ClusterIP traffic is never masqueraded (R22).</summary>
    None = 2,
}
