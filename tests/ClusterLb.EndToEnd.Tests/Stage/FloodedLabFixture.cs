using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A lab whose flow tables are small enough to be filled.</summary>
public sealed class FloodedLabFixture : LabFixture
{
    /// <summary>Flows that fit, per family.</summary>
    public const int Capacity = 8_192;

    protected override string Tag => "o";

    protected override LabSettings Settings => new(Flows: Capacity);
}
