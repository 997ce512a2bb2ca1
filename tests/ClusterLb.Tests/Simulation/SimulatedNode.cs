using ClusterLb.Agent.Replay;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Simulation;

/// <summary>The real thing, in memory: store, reconcile loop, maps, flow tables, two workers. Both halves may die and come back.</summary>
internal sealed class SimulatedNode : IDisposable
{
    private const int Workers = 2;

    private readonly LbMaps _maps;
    private readonly int _flowCapacity;
    private readonly byte[] _buffer = new byte[4096];
    private readonly PacketPipeline[] _workers = new PacketPipeline[Workers];
    private FlowTables _flows;
    private ReconcileLoop? _loop;

    /// <param name="usesSharedMaps">The shared files in memory, else their simple twin, whose writes can be watched one by one.</param>
    /// <param name="flowCapacity">Per family.</param>
    public SimulatedNode(bool usesSharedMaps, int flowCapacity)
    {
        _maps = usesSharedMaps ? SharedLbMaps.CreateInMemory(LbMapCapacities.Small) : new DictionaryLbMaps();
        _flowCapacity = flowCapacity;
        _flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = flowCapacity, Ipv6 = flowCapacity, Workers = Workers, Affinity = 256 });
        Watch = new PacketWatch(_maps);
        StartWorkers();
    }

    public StepRandomSource Random { get; } = new();

    public PacketWatch Watch { get; }

    /// <summary>Null while no agent runs.</summary>
    public ClusterStateStore? Store { get; private set; }

    /// <summary>The last complete sync has happened.</summary>
    public bool IsSynced => _maps.Node.TryLookup(0, out NodeEntry node) && node.Flags.HasFlag(NodeFlags.Synced);

    public long NowMs { get; set; } = 1_000_000;

    public IReadOnlyList<FlowSnapshot> Flows() => _flows.List(NowMs);

    /// <summary>A packet through one of the workers. Throws what the onlooker has against it.</summary>
    public (Verdict Verdict, byte[] Written, PacketMeta Meta) Process(byte[] packet, int worker)
    {
        packet.CopyTo(_buffer, 0);
        var meta = new PacketMeta { Length = packet.Length, Queue = (ushort)worker };
        Verdict verdict = _workers[worker].Process(_buffer, ref meta, NowMs);
        ReadOnlySpan<byte> written = verdict == Verdict.Drop ? default : _buffer.AsSpan(0, meta.Length);
        Watch.TableIsFull |= _flows.Evicted > 0 || meta.DropReason == DropReason.ConntrackFull;
        if (Watch.Check(packet, written, verdict, meta, NowMs) is { } broken)
        {
            throw new SimulationException($"{broken} (sent: {PacketText.Describe(packet)})");
        }

        return (verdict, written.ToArray(), meta);
    }

    public void Sweep() => _flows.Sweep(NowMs, 1_000);

    /// <summary>A new agent adopts the maps. Until its list is complete it must not take anything away.</summary>
    public void StartAgent(SimulatedCluster cluster)
    {
        StopAgent();
        Store = new ClusterStateStore(SimulatedCluster.NodeName);
        _loop = new ReconcileLoop(Store, _maps);
        cluster.Fill(Store, afterHalf: _loop.SyncNow);
    }

    public void StopAgent()
    {
        _loop?.Dispose();
        (_loop, Store) = (null, null);
    }

    /// <summary>Carries all changes into the maps; after each write the workers may see a packet.</summary>
    public void Sync(Action? afterWrite = null)
    {
        Watch.MapsInMotion = afterWrite is not null;
        SetAfterWrite(afterWrite);
        try
        {
            _loop!.SyncNow();
        }
        finally
        {
            SetAfterWrite(null);
            Watch.MapsInMotion = false;
        }

        (_maps as SharedLbMaps)?.Reclaim();
    }

    /// <summary>The agent is killed after so many writes of a sync.</summary>
    public void KillAgentAfter(int writes)
    {
        try
        {
            Sync(() =>
            {
                if (--writes < 0)
                {
                    throw new IOException("killed"); // which the loop does not take for a fault of one service
                }
            });
        }
        catch (IOException)
        {
            // As it was meant.
        }

        StopAgent();
    }

    /// <summary>A new dataplane adopts the flow tables, as from descriptors that it was handed.</summary>
    public void RestartDataplane()
    {
        FlowTables old = _flows;
        _flows = FlowTables.FromDescriptors(old.OpenDescriptors().ToDictionary(file => file.Name, file => file.Handle));
        old.Dispose();
        StartWorkers();
        _flows.RememberBackends(_maps.Backends);
        Watch.DataplaneRestarts(NowMs);
    }

    public void Dispose()
    {
        StopAgent();
        _flows.Dispose();
        _maps.Dispose();
    }

    private void SetAfterWrite(Action? afterWrite)
    {
        if (_maps is DictionaryLbMaps maps)
        {
            maps.AfterWrite = afterWrite;
        }
    }

    private void StartWorkers()
    {
        for (int i = 0; i < Workers; i++)
        {
            _workers[i] = new PacketPipeline(_maps, _flows, PipelineCounters.CreateInMemory(), Random);
        }
    }
}
