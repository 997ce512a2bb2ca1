using ClusterLb.ControlPlane.Model;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>A backend of a service port as its slices describe it, and for each set why it is not in it.</summary>
/// <param name="Key">Address, port, protocol.</param>
/// <param name="Backend">What its slice says.</param>
/// <param name="IsLocal">On this node.</param>
/// <param name="NotInClusterSet">Null if policy Cluster may choose it.</param>
/// <param name="NotInLocalSet">Null if policy Local may choose it.</param>
public sealed record BackendReport(BackendKey Key, Backend Backend, bool IsLocal, string? NotInClusterSet, string? NotInLocalSet);
