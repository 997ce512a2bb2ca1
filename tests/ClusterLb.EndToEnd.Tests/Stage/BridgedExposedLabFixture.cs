using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>As <see cref="ExposedLabFixture"/>, with pods on bridges.</summary>
public sealed class BridgedExposedLabFixture : ExposedLabFixture
{
    protected override string Tag => "z";

    protected override LabTopology Plain => LabTopology.OnBridges;
}
