using System.Collections.Immutable;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>How it stands with the API server.</summary>
/// <param name="Server">Host and port that is used now.</param>
/// <param name="Origin">Where this connection is configured.</param>
/// <param name="Connected">Services, EndpointSlices and the Node are being watched: nothing that changes stays unknown.</param>
/// <param name="Since">Since when it is so.</param>
/// <param name="LastError">Why not connected; empty if it is.</param>
/// <param name="Resources">Each resource by itself.</param>
public sealed record ApiServerStatus(
    string Server, string Origin, bool Connected, DateTimeOffset Since, string LastError, ImmutableArray<ApiResourceStatus> Resources)
{
    /// <summary>Events that were not written since the start: too many at once, or the server did not take them.</summary>
    public long DroppedEvents { get; init; }
}
