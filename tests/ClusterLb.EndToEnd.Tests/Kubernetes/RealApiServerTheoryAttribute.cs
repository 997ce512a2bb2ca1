using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A table of tests that make sense with the real kube-apiserver only: skipped, with the reason, where none is at hand.</summary>
public sealed class RealApiServerTheoryAttribute : TheoryAttribute
{
    public RealApiServerTheoryAttribute() => Skip = new RealApiServerFactAttribute().Skip;
}
