using System.Runtime.ExceptionServices;
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
    private readonly WatchedLbMaps _written; // the same, for the agent
    private readonly byte[] _buffer = new byte[4096];
    private readonly PacketPipeline[] _workers = new PacketPipeline[Workers];
    private readonly OrphanQuestion[] _questions = new OrphanQuestion[OrphanPass.MostQuestions];
    private FlowTables _flows;
    private OrphanSearch _orphans;
    private ReconcileLoop? _loop;
    private long _evicted; // of these flow tables, when it was looked at the last time

    /// <param name="usesSharedMaps">The shared files in memory, else their simple twin.</param>
    /// <param name="flowCapacity">Per family.</param>
    public SimulatedNode(bool usesSharedMaps, int flowCapacity)
    {
        _maps = usesSharedMaps ? SharedLbMaps.CreateInMemory(LbMapCapacities.Small) : new DictionaryLbMaps();
        _written = new WatchedLbMaps(_maps);
        _flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = flowCapacity, Ipv6 = flowCapacity, Workers = Workers, Affinity = 256 });
        Watch = new PacketWatch(_maps);
        _orphans = new OrphanSearch(_maps, _flows);
        StartWorkers();
    }

    public StepRandomSource Random { get; } = new();

    public PacketWatch Watch { get; }

    /// <summary>Null while no agent runs.</summary>
    public ClusterStateStore? Store { get; private set; }

    /// <summary>The last complete sync has happened.</summary>
    public bool IsSynced => _maps.Node.TryLookup(0, out NodeEntry node) && node.Flags.HasFlag(NodeFlags.Synced);

    public long NowMs { get; set; } = 1_000_000;

    /// <summary>Flows that had to make room for others.</summary>
    public long Evictions { get; private set; }

    public IReadOnlyList<FlowSnapshot> Flows() => _flows.List(NowMs);

    /// <summary>A packet through one of the workers. Throws what the onlooker has against it.</summary>
    public (Verdict Verdict, byte[] Written, PacketMeta Meta) Process(byte[] packet, int worker)
    {
        packet.CopyTo(_buffer, 0);
        var meta = new PacketMeta { Length = packet.Length, Queue = (ushort)worker };
        Verdict verdict = _workers[worker].Process(_buffer, ref meta, NowMs);
        ReadOnlySpan<byte> written = verdict == Verdict.Drop ? default : _buffer.AsSpan(0, meta.Length);
        if (_flows.Evicted != _evicted || meta.DropReason == DropReason.ConntrackFull)
        {
            Evictions += _flows.Evicted - _evicted;
            _evicted = _flows.Evicted;
            Watch.TableIsFull();
        }

        if (Watch.Check(packet, written, verdict, meta, NowMs) is { } broken)
        {
            throw new SimulationException($"{broken} (sent: {PacketText.Describe(packet)})");
        }

        return (verdict, written.ToArray(), meta);
    }

    public void Sweep() => _flows.Sweep(NowMs, 1_000);

    /// <summary>What an idle worker does: looks through all flows for such whose backend has left, if there is a reason to.</summary>
    /// <returns>The packets that it sends, to ask either end.</returns>
    public IReadOnlyList<byte[]> LookForOrphans()
    {
        var sent = new List<byte[]>();
        bool hasLooked = false;
        for (NowMs++; _orphans.IsDue(NowMs); NowMs++) // at most one slice per millisecond
        {
            int count = _orphans.Advance(NowMs, int.MaxValue / 2, _questions);
            hasLooked = true;
            foreach (OrphanQuestion question in _questions.AsSpan(0, count))
            {
                CheckQuestion(question);
                var packet = new byte[OrphanProbe.MaxLength];
                sent.Add(packet[..OrphanProbe.Build(packet, question.Tuple, question.ToClient)]);
            }

            if (!_orphans.IsLooking)
            {
                break;
            }
        }

        if (hasLooked)
        {
            Watch.OrphansWereLookedFor();
        }

        return sent;
    }

    /// <summary>A new agent adopts the maps. Until its list is complete it must not take anything away.</summary>
    public void StartAgent(SimulatedCluster cluster)
    {
        StopAgent();
        Store = new ClusterStateStore(SimulatedCluster.NodeName);
        _loop = new ReconcileLoop(Store, _written);
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
        Exception? broken = null;
        Watch.MapsInMotion = afterWrite is not null;
        _written.AfterWrite = afterWrite is null ? null : Watched;
        try
        {
            _loop!.SyncNow();
        }
        finally
        {
            _written.AfterWrite = null;
            Watch.MapsInMotion = false;
        }

        if (broken is not null)
        {
            ExceptionDispatchInfo.Throw(broken);
        }

        (_maps as SharedLbMaps)?.Reclaim();

        // The loop would take what a packet met for a fault of the service that it was writing.
        void Watched()
        {
            try
            {
                afterWrite!();
            }
            catch (Exception e) when (e is not IOException)
            {
                broken ??= e;
            }
        }
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
        _evicted = _flows.Evicted;
        _orphans = new OrphanSearch(_maps, _flows);
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

    /// <summary>Only of connections whose backend has left, and whose service does not want them kept.</summary>
    private void CheckQuestion(in OrphanQuestion question)
    {
        FlowTuple answer = question.Tuple.Reverse;
        FlowSnapshot? flow = Flows().FirstOrDefault(flow => answer == flow.Original || answer == flow.Reply);
        if (flow is null || flow.Flags.HasFlag(FlowFlags.KeepIfGone) || _maps.Serving.TryLookup(new ServingKey(flow.ServicePortId, flow.BackendId), out _))
        {
            throw new SimulationException($"{question.Tuple.Destination} was asked about {answer}, a connection that is none, is to be kept, or is served");
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
