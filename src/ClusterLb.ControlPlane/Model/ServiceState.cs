using System.Collections.Immutable;

namespace ClusterLb.ControlPlane.Model;

/// <summary>Everything known about one service at one moment: the input of its compilation. Immutable.</summary>
/// <param name="Name">Namespace and name.</param>
/// <param name="Service">Null if there is none, or none that is proxied.</param>
/// <param name="Slices">Its backends, ordered by slice name.</param>
public sealed record ServiceState(ObjectName Name, Service? Service, ImmutableArray<BackendSlice> Slices)
{
    /// <summary>The service that gets a share of the connections; null if <see cref="Service"/> names none.</summary>
    public ServiceState? Canary { get; init; }
}
