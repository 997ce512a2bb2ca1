using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The pools of source ports, made anew when the configuration has other ranges. Any thread.</summary>
/// <remarks>What the old pools knew is lost, and found out again: a bit is a hint (<see cref="SnatPortPools"/>).</remarks>
internal sealed class SnatPortSpace
{
    private readonly Lock _changing = new();
    private volatile SnatPortPools _pools = new(SnatPortRanges.Default);

    /// <summary>The pools of now.</summary>
    public SnatPortPools Pools => _pools;

    /// <summary>The flow with this reply tuple is gone from the flow table.</summary>
    public void Return(in FlowTuple reply) => _pools.Return(reply);

    /// <summary>Takes other ranges, if they are. Allocates then; else costs a comparison.</summary>
    public void Use(in SnatPortRanges ranges)
    {
        if (_pools.Ranges == ranges)
        {
            return;
        }

        lock (_changing) // of workers that see the change at once, one makes the pools
        {
            if (_pools.Ranges != ranges)
            {
                _pools = new SnatPortPools(ranges);
            }
        }
    }
}
