namespace ClusterLb.Lab.Stage;

/// <summary>Further lines of the configuration that the lab's agents get.</summary>
/// <param name="KubeProxy">Of the KubeProxyConfiguration; default: detectLocalMode ClusterCIDR.</param>
/// <param name="ClusterLb">Of the ClusterLbConfiguration.</param>
public sealed record LabSettings(string KubeProxy = "detectLocalMode: ClusterCIDR", string ClusterLb = "");
