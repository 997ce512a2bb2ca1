using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;

namespace ClusterLb.Testing;

/// <summary>A load balancer of one worker on in-memory maps: packet in, line of text out.</summary>
/// <remarks>A synced node 192.168.0.2 / fd00:192::2 with pods in 10.244.0.0/16 and fd00:10:244::/48, services in 10.96.0.0/12
/// and fd00:10:96::/108, unless a test says otherwise. Time stands still until a test moves it.</remarks>
public sealed class PipelineFixture : IDisposable
{
    private readonly Dictionary<(IpAddr, ushort, IpProtocol), uint> _backendIds = [];
    private readonly Dictionary<string, (uint ServicePort, uint RevNat)> _frontendIds = [];
    private readonly PacketPipeline _pipeline;
    private uint _lastId;
    private ulong _lastRevision;

    public PipelineFixture(LbMaps? maps = null, FlowTables? flows = null, RandomSource? random = null, BackendArrivals? arrivals = null)
    {
        Maps = maps ?? new DictionaryLbMaps();
        Flows = flows ?? FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 1024, Ipv6 = 1024, Workers = 1 });
        Random = random ?? new ScriptedRandomSource();
        Counters = PipelineCounters.CreateInMemory();
        _pipeline = new PacketPipeline(Maps, Flows, Counters, Random, arrivals);
        Orphans = new OrphanSearch(Maps, Flows);

        Node = NodeEntry.Default with
        {
            PrimaryIpv4 = IpAddr.Parse("192.168.0.2"),
            PrimaryIpv6 = IpAddr.Parse("fd00:192::2"),
            Flags = NodeFlags.Synced,
        };
        WithNetwork("10.96.0.0/12", NetworkFlags.ServiceRange).WithNetwork("fd00:10:96::/108", NetworkFlags.ServiceRange);
        WithNetwork("10.244.0.0/16", NetworkFlags.PodRange).WithNetwork("fd00:10:244::/48", NetworkFlags.PodRange);
        WithNetwork("192.168.0.2/32", NetworkFlags.NodeAddress).WithNetwork("fd00:192::2/128", NetworkFlags.NodeAddress);
    }

    public LbMaps Maps { get; }

    public FlowTables Flows { get; }

    public PipelineCounters Counters { get; }

    public RandomSource Random { get; }

    /// <summary>Looks for flows whose backend has left, when <see cref="LookForOrphans"/> says so.</summary>
    public OrphanSearch Orphans { get; }

    /// <summary>CLOCK_MONOTONIC.</summary>
    public long NowMs { get; set; } = 1_000_000;

    /// <summary>Of the last packet.</summary>
    public PacketMeta Meta { get; private set; }

    /// <summary>Of the last packet.</summary>
    public Verdict Verdict { get; private set; }

    /// <summary>Bytes of the last packet or of its answer; empty after a drop.</summary>
    public byte[] Written { get; private set; } = [];

    /// <summary>Of the frontends written from now on; with it their backends are eligible.</summary>
    public uint AffinitySeconds { get; set; }

    /// <summary>Of the frontends written from now on.</summary>
    public SelectionAlgorithm Algorithm { get; set; }

    /// <summary>Of the frontends written from now on: percent for the slots of the canary scope.</summary>
    public uint SharePercent { get; set; }

    /// <summary>The queue that packets are read from.</summary>
    public ushort Queue { get; set; }

    public NodeEntry Node
    {
        get => Maps.Node.TryLookup(0, out NodeEntry node) ? node : default;
        set => Maps.Node.Update(0, value);
    }

    /// <summary>All flows, as the CLI would list them.</summary>
    public IReadOnlyList<FlowSnapshot> List() => Flows.List(NowMs);

    public PipelineFixture WithNetwork(string block, NetworkFlags flags)
    {
        Maps.Networks.Update(IpPrefix.Parse(block), flags);
        return this;
    }

    public PipelineFixture WithNode(Func<NodeEntry, NodeEntry> change)
    {
        Node = change(Node);
        NowMs++; // the pipeline reads the entry once per millisecond
        return this;
    }

    /// <summary>A frontend with these backends, or new backends for it. Ids stay.</summary>
    /// <param name="frontend"><c>10.96.0.10:80/TCP</c>.</param>
    /// <param name="backends"><c>10.244.1.5:8080</c>.</param>
    public PipelineFixture WithService(string frontend, params string[] backends) =>
        WithService(frontend, ServiceFlags.None, backends);

    public PipelineFixture WithService(string frontend, ServiceFlags flags, params string[] backends)
    {
        WithScope(frontend, LookupScope.External, flags | (backends.Length > 0 ? ServiceFlags.EndpointsExist : ServiceFlags.None), backends);
        (IpAddr address, _, _) = ParseFrontend(frontend);
        if ((flags & (ServiceFlags.NodePort | ServiceFlags.LoadBalancer | ServiceFlags.ExternalIp)) == ServiceFlags.None)
        {
            Maps.Services.Update(
                new ServiceKey(address, 0, IpProtocol.Any, LookupScope.External, 0),
                new ServiceEntry { Flags = ServiceFlags.ActiveAddress });
        }

        return this;
    }

    /// <summary>An address whose pings are answered.</summary>
    /// <param name="address">The address.</param>
    /// <param name="kind">What else the mark says.</param>
    /// <param name="filteredBy">The frontend whose sources alone are answered, if the mark says so.</param>
    public PipelineFixture WithAddressMark(string address, ServiceFlags kind, string? filteredBy = null)
    {
        Maps.Services.Update(
            new ServiceKey(IpAddr.Parse(address), 0, IpProtocol.Any, LookupScope.External, 0),
            new ServiceEntry { Flags = ServiceFlags.ActiveAddress | kind, ServicePortId = filteredBy is null ? 0 : IdsOf(filteredBy).ServicePort });
        return this;
    }

    /// <summary>Lets sources in to a frontend with <see cref="ServiceFlags.SourceRange"/>.</summary>
    public PipelineFixture WithSourceRange(string frontend, string block)
    {
        Maps.SourceRanges.Update(new SourceRangeKey(IdsOf(frontend).ServicePort, IpPrefix.Parse(block)), 0);
        return this;
    }

    /// <summary>Takes a block out again.</summary>
    public PipelineFixture WithoutSourceRange(string frontend, string block)
    {
        Maps.SourceRanges.Delete(new SourceRangeKey(IdsOf(frontend).ServicePort, IpPrefix.Parse(block)));
        return this;
    }

    /// <summary>The slots of one scope of a frontend, written in the reconciler's order.</summary>
    public PipelineFixture WithScope(string frontend, LookupScope scope, ServiceFlags flags, params string[] backends)
    {
        (IpAddr address, ushort port, IpProtocol protocol) = ParseFrontend(frontend);
        (uint servicePortId, uint revNatId) = IdsOf(frontend);
        if (flags.HasFlag(ServiceFlags.NodePort))
        {
            // As the reconciler writes it: once, for all addresses of the node on which node ports answer.
            WithNetwork(IpPrefix.Host(address).ToString(), NetworkFlags.NodeAddress | NetworkFlags.NodePortAddress);
            address = IpAddr.Unspecified(address.IsIpv4);
        }

        if (!Maps.ServicePorts.TryLookup(servicePortId, out _))
        {
            Maps.ServicePorts.Update(servicePortId, new ServicePortEntry(++_lastRevision));
        }

        var slots = new List<uint>();
        foreach (string backend in backends)
        {
            (IpAddr backendAddress, ushort backendPort) = PacketBuilder.ParseEndpoint(backend);
            uint id = BackendId(backendAddress, backendPort, protocol);
            Maps.Backends.Update(id, new BackendEntry(backendAddress, backendPort, protocol, BackendState.Active));
            Maps.Serving.Update(new ServingKey(servicePortId, id), 0);
            slots.Add(id);
        }

        for (int i = 0; i < slots.Count; i++)
        {
            Maps.Services.Update(
                new ServiceKey(address, port, protocol, scope, (uint)i + 1),
                new ServiceEntry { BackendId = slots[i], RevNatId = revNatId, ServicePortId = servicePortId });
        }

        var key = new ServiceKey(address, port, protocol, scope, 0);
        uint before = Maps.Services.TryLookup(key, out ServiceEntry old) ? old.Count : 0;
        Maps.ReverseNat.Update(revNatId, new ReverseNatEntry(address, port, protocol));
        foreach (uint id in _backendIds.Values)
        {
            _ = AffinitySeconds > 0 && slots.Contains(id)
                ? Maps.Eligible.Update(new EligibleKey(revNatId, scope, id), 0)
                : Maps.Eligible.Delete(new EligibleKey(revNatId, scope, id));
        }

        flags |= AffinitySeconds > 0 ? ServiceFlags.Affinity : ServiceFlags.None;
        flags |= SharePercent > 0 ? ServiceFlags.Split : ServiceFlags.None;
        if (Algorithm.IsHash() && slots.Count > 0)
        {
            var table = new uint[Maps.Maglev.TableSize];
            MaglevTable.Fill(table, [.. slots.Select((id, i) => (KeyOf(backends[i], protocol), id))], Maps.Maglev.Seed);
            Maps.Maglev.Update(MaglevKey.Of(new ServiceEntry { ServicePortId = servicePortId, Flags = flags }, scope), table);
        }

        Maps.Services.Update(key, new ServiceEntry
        {
            BackendId = ServiceEntry.PackAffinity(AffinitySeconds, Algorithm),
            Count = (uint)slots.Count,
            RevNatId = revNatId,
            ServicePortId = servicePortId,
            Flags = flags,
            SharePercent = SharePercent,
        });
        for (uint slot = (uint)slots.Count + 1; slot <= before; slot++)
        {
            Maps.Services.Delete(key with { Slot = slot });
        }

        return this;
    }

    /// <summary>The backend stops serving for this frontend's port, as the control plane would tell: entry away, then a new revision.</summary>
    public PipelineFixture WithoutServing(string frontend, string backend)
    {
        (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(backend);
        (uint servicePortId, _) = IdsOf(frontend);
        Maps.Serving.Delete(new ServingKey(servicePortId, BackendId(address, port, ParseFrontend(frontend).Protocol)));
        Maps.ServicePorts.Update(servicePortId, new ServicePortEntry(++_lastRevision));
        Maps.CountDeparture();
        return this;
    }

    /// <summary>The backend is in no service any more.</summary>
    public PipelineFixture WithoutBackend(string frontend, string backend)
    {
        (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(backend);
        Maps.Backends.Delete(BackendId(address, port, ParseFrontend(frontend).Protocol));
        return WithoutServing(frontend, backend);
    }

    /// <summary>What an idle worker does, later: looks through the flows, if there is a reason to.</summary>
    /// <returns>The packets that it sends, as tcpdump would show them.</returns>
    public IReadOnlyList<string> LookForOrphans(TimeSpan later = default)
    {
        var sent = new List<string>();
        var questions = new OrphanQuestion[OrphanPass.MostQuestions];
        var buffer = new byte[OrphanProbe.MaxLength];
        Later(later);
        do
        {
            NowMs++; // at most one slice per millisecond
            int count = Orphans.IsDue(NowMs) ? Orphans.Advance(NowMs, int.MaxValue / 2, questions) : 0;
            foreach (OrphanQuestion question in questions.AsSpan(0, count))
            {
                int length = OrphanProbe.Build(buffer, question.Tuple, question.ToClient);
                sent.Add(PacketText.Describe(buffer.AsSpan(0, length), partialChecksum: false));
            }
        }
        while (Orphans.IsLooking);
        return sent;
    }

    /// <summary>The frontend is gone.</summary>
    public PipelineFixture WithoutService(string frontend)
    {
        (IpAddr address, ushort port, IpProtocol protocol) = ParseFrontend(frontend);
        var key = new ServiceKey(address, port, protocol, LookupScope.External, 0);
        uint count = Maps.Services.TryLookup(key, out ServiceEntry entry) ? entry.Count : 0;
        Maps.Services.Delete(key);
        for (uint slot = 1; slot <= count; slot++)
        {
            Maps.Services.Delete(key with { Slot = slot });
        }

        return this;
    }

    /// <summary>Sends a packet and tells what comes out: a line as tcpdump's, with <c>pass: </c> or <c>reject: </c> before it
    /// where it is not forwarded; <c>drop: Reason</c>.</summary>
    public string Send(byte[] packet, bool partialChecksum = false, ushort checksumStart = 20)
    {
        var buffer = new byte[Math.Max(packet.Length + 128, 2048)];
        packet.CopyTo(buffer, 0);
        var meta = new PacketMeta { Length = packet.Length, Queue = Queue, PartialChecksum = partialChecksum, ChecksumStart = checksumStart };
        Verdict = _pipeline.Process(buffer, ref meta, NowMs);
        Meta = meta;
        Written = Verdict == Verdict.Drop ? [] : buffer[..meta.Length];
        string line = PacketText.Describe(Written, meta.PartialChecksum);
        return Verdict switch
        {
            Verdict.Drop => $"drop: {meta.DropReason}",
            Verdict.Pass => $"pass: {line}",
            Verdict.Reject => $"reject: {line}",
            _ => line,
        };
    }

    public string Send(PacketBuilder packet) => Send(packet.ToBytes());

    public PipelineFixture Later(TimeSpan time)
    {
        NowMs += (long)time.TotalMilliseconds;
        return this;
    }

    public void Dispose()
    {
        Flows.Dispose();
        Maps.Dispose();
    }

    public static (IpAddr Address, ushort Port, IpProtocol Protocol) ParseFrontend(string text)
    {
        int slash = text.LastIndexOf('/');
        (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(text[..slash]);
        return (address, port, Enum.Parse<IpProtocol>(text[(slash + 1)..], ignoreCase: true));
    }

    private static BackendKey KeyOf(string backend, IpProtocol protocol)
    {
        (IpAddr address, ushort port) = PacketBuilder.ParseEndpoint(backend);
        return new BackendKey(address, port, protocol);
    }

    private (uint ServicePort, uint RevNat) IdsOf(string frontend)
    {
        if (!_frontendIds.TryGetValue(frontend, out (uint, uint) ids))
        {
            ids = (++_lastId, ++_lastId);
            _frontendIds[frontend] = ids;
        }

        return ids;
    }

    private uint BackendId(IpAddr address, ushort port, IpProtocol protocol)
    {
        if (!_backendIds.TryGetValue((address, port, protocol), out uint id))
        {
            id = ++_lastId;
            _backendIds[(address, port, protocol)] = id;
        }

        return id;
    }
}
