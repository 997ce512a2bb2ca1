using BenchmarkDotNet.Attributes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;

namespace ClusterLb.Benchmarks.ControlPlane;

/// <summary>One backend comes and goes: does the cost depend on how many services there are? (5 backends each.)</summary>
[MemoryDiagnoser]
public class OneChangeBenchmark
{
    private readonly ClusterStateStore _store = new("node-a");
    private ReconcileLoop _loop = null!;
    private BackendSlice _five = null!;
    private BackendSlice _six = null!;
    private bool _isSix;

    [Params(100, 10_000, 100_000)]
    public int Services { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        SyntheticCluster.Fill(_store, Services, backends: 5);
        _loop = new ReconcileLoop(_store, SyntheticCluster.Maps());
        _loop.SyncNow();
        _five = SyntheticCluster.SliceOf(Services / 2, 5);
        _six = SyntheticCluster.SliceOf(Services / 2, 6);
    }

    [Benchmark]
    public long OneBackendChanges()
    {
        _isSix = !_isSix;
        _store.Put(_isSix ? _six : _five);
        _loop.SyncNow();
        return _loop.Status.Writes;
    }
}
