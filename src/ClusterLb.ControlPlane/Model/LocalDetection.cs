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

    /// <summary>By <see cref="NetworkInputs.PodRanges"/>, which are derived from the interfaces of pods: with none of a family nobody is a
    /// pod in it, and that is known.</summary>
    Interfaces = 3,
}
