using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>How backends are chosen, and left, where a service does not say.</summary>
public sealed record SelectionOptions
{
    /// <summary>Of services without an annotation (loadBalancer.algorithm, else ipvs.scheduler); the default is random.</summary>
    public SelectionAlgorithm Algorithm { get; init; }

    /// <summary>loadBalancer.onBackendGone: what becomes of TCP connections whose backend has left.</summary>
    public BackendGonePolicy BackendGone { get; init; } = BackendGonePolicy.Drain;

    /// <summary>maglev.hashSeed: the same on all nodes, else a client changes its backend with the node.</summary>
    public MaglevSeed MaglevSeed { get; init; } = MaglevSeed.Default;
}
