using BenchmarkDotNet.Attributes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Benchmarks.ControlPlane;

/// <summary>The first sync of an agent: 250,000 backends from the store into empty maps.</summary>
[MemoryDiagnoser]
public class ColdCompileBenchmark
{
    private readonly ClusterStateStore _store = new("node-a");

    [GlobalSetup]
    public void Setup() => SyntheticCluster.Fill(_store, services: 5_000, backends: 50);

    [Benchmark]
    public int FiveThousandServicesOfFifty()
    {
        using SharedLbMaps maps = SyntheticCluster.Maps();
        using var loop = new ReconcileLoop(_store, maps);
        loop.SyncNow();
        return maps.Backends.Count;
    }
}
