using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>Where Services, EndpointSlices and this Node come from: a directory of manifests, or an API server.</summary>
public interface IObjectSource
{
    /// <summary>
    /// Puts all objects into the store, calls <see cref="ClusterStateStore.SourceComplete"/> once, then follows changes until
    /// cancelled. A bad object is reported with <see cref="ClusterStateStore.SetProblems"/> and what was good of it stays; what
    /// is unreachable is tried again. So this ends only by cancellation.
    /// </summary>
    Task RunAsync(ClusterStateStore store, CancellationToken cancellation);
}
