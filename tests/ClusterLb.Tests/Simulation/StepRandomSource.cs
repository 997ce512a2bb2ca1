using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Tests.Simulation;

/// <summary>The pipelines' random source, begun anew in every step: what a step chooses does not depend on the steps before it.</summary>
internal sealed class StepRandomSource : RandomSource
{
    private FastRandomSource _source = new(0);

    public void BeginStep(int seed) => _source = new FastRandomSource((ulong)seed);

    public override uint Next() => _source.Next();
}
