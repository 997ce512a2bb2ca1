using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A test that runs the real kube-proxy in a network namespace: skipped, with the reason, where that cannot be.</summary>
public sealed class KubeProxyFactAttribute : FactAttribute
{
    public KubeProxyFactAttribute() => Skip = LabNeeds.Reason ?? (File.Exists(Path.Combine(RealApiServer.Assets ?? "", "kube-proxy"))
        ? null
        : $"no kube-proxy: {RealApiServer.AssetsVariable} names no folder that has it");
}
