namespace ClusterLb.Lab.Stage;

/// <summary>Further lines of the configuration that the lab's agents get.</summary>
/// <param name="KubeProxy">Of the KubeProxyConfiguration; default: detectLocalMode ClusterCIDR.</param>
/// <param name="Conntrack">Further fields of the ClusterLbConfiguration's section conntrack: <c>snatPorts: 5000-5009</c>.</param>
/// <param name="LoadBalancer">As <paramref name="Conntrack"/>, of the section loadBalancer.</param>
/// <param name="Flows">That fit into the flow tables, per family.</param>
public sealed record LabSettings(string KubeProxy = "detectLocalMode: ClusterCIDR", string Conntrack = "", string LoadBalancer = "", int Flows = 65_536);
