using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>Where requests come from: a pod, a node, or outside.</summary>
/// <param name="Name">pod on n1, node n2, outside.</param>
/// <param name="Namespace">Its network.</param>
/// <param name="HasDns">Whether the cluster's DNS service is its resolver.</param>
internal sealed record Origin(string Name, NetworkNamespace Namespace, bool HasDns);
