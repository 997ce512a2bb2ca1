using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A test that makes sense with the real kube-apiserver only: skipped, with the reason, where none is at hand.</summary>
public sealed class RealApiServerFactAttribute : FactAttribute
{
    public RealApiServerFactAttribute() => Skip = RealApiServer.Assets is null
        ? $"no kube-apiserver: {RealApiServer.AssetsVariable} names no folder that has etcd and kube-apiserver"
        : null;
}
