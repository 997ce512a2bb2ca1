using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Explain;

/// <summary>A directory of manifests, compiled by the real control plane into maps in memory.</summary>
public sealed class CompiledCluster : IDisposable
{
    private readonly ClusterStateStore _store;
    private readonly ManifestDirectory _source;
    private readonly SharedLbMaps _maps;
    private readonly ReconcileLoop _loop;

    /// <summary>Nothing is read before the first <see cref="Sync"/>.</summary>
    /// <param name="manifestDirectory">Services, EndpointSlices and Nodes.</param>
    /// <param name="nodeName">Which node's dataplane it is.</param>
    /// <param name="capacities">Of the maps.</param>
    /// <param name="selection">How backends are chosen where a service does not say.</param>
    public CompiledCluster(string manifestDirectory, string nodeName, LbMapCapacities capacities, SelectionOptions? selection = null)
    {
        _store = new ClusterStateStore(nodeName);
        _source = new ManifestDirectory(manifestDirectory);
        _maps = SharedLbMaps.CreateInMemory(capacities);
        _loop = new ReconcileLoop(_store, _maps, new ReconcileOptions { Selection = selection ?? new SelectionOptions() });
    }

    /// <summary>The manifests and settings of an agent's configuration, compiled.</summary>
    /// <param name="options">With a manifest directory.</param>
    /// <remarks>Node addresses come from the Node object: whoever explains need not be on the node.</remarks>
    public static CompiledCluster Of(AgentOptions options)
    {
        var cluster = new CompiledCluster(options.ManifestDirectory ?? "", options.NodeName, options.Maps, options.Selection);
        cluster._source.Scan(cluster._store);
        cluster._store.SetNetwork(new ClusterNetwork(options, cluster._store).Inputs(cluster._store.Node?.Addresses ?? [], behindLocalInterfaces: []));
        cluster._loop.SyncNow();
        return cluster;
    }

    /// <summary>As the dataplane would see them.</summary>
    public LbMaps Maps => _maps;

    /// <summary>What the control plane knows; node and network inputs may be put here.</summary>
    public ClusterStateStore Store => _store;

    /// <summary>How far the maps are, and what was counted on the way.</summary>
    public ReconcileStatus Status => _loop.Status;

    /// <summary>Reads what is in the directory now and carries it into the maps.</summary>
    public void Sync()
    {
        _source.Scan(_store);
        _loop.SyncNow();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _loop.Dispose();
        _maps.Dispose();
    }
}
