using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>All that the dataplane remembers: flows of both families, and the counters of its workers (docs/conntrack.md).</summary>
/// <remarks>Written by one dataplane process, by all its workers at once. Everybody else reads by <see cref="Read(string, long)"/>.</remarks>
public sealed partial class FlowTables : IDisposable
{
    /// <summary>Names of the files, in the state directory's <c>flows</c>.</summary>
    public static readonly IReadOnlyList<string> FileNames = [Ipv4Name, Ipv6Name, CountersName, Affinity4Name, Affinity6Name, FragmentsName];

    private const string Ipv4Name = "conntrack4";
    private const string Ipv6Name = "conntrack6";
    private const string CountersName = "counters";
    private const string Affinity4Name = "affinity4";
    private const string Affinity6Name = "affinity6";

    // Places of flows that are looked at for every place of a pin: pins live for hours, and nobody waits for their places.
    private const int SweepsPerAffinitySweep = 16;

    private readonly ConntrackTable<FlowKey4> _ipv4;
    private readonly ConntrackTable<FlowKey6> _ipv6;
    private readonly MapFile _counters;
    private readonly AffinityTable<AffinityKey4> _affinity4;
    private readonly AffinityTable<AffinityKey6> _affinity6;
    private readonly FragmentTable _fragments;
    private readonly BackendFilter _backends = new();
    private readonly ActiveFlowCounts _active = new();
    private readonly RoundRobinTurns _turns = new();
    private readonly SnatPortPools _snatPorts = new();
    private long _sweptAtMs = long.MinValue;

    private FlowTables(MapFile ipv4, MapFile ipv6, MapFile counters, MapFile affinity4, MapFile affinity6, MapFile fragments)
    {
        _fragments = new FragmentTable(fragments);
        _affinity4 = new AffinityTable<AffinityKey4>(affinity4);
        _affinity6 = new AffinityTable<AffinityKey6>(affinity6);
        _ipv4 = new ConntrackTable<FlowKey4>(ipv4, _active, _snatPorts);
        _ipv6 = new ConntrackTable<FlowKey6>(ipv6, _active, _snatPorts);
        _counters = counters;
    }

    /// <summary>Flows in the tables, expired ones that were not swept yet included.</summary>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <summary>What <see cref="FromDescriptors"/> found: flows kept, and index words that led nowhere or to half a flow.</summary>
    public (int Kept, int Dropped) Adopted { get; private set; }

    /// <summary>Flows that fit, both families.</summary>
    public int Capacity => _ipv4.Capacity + _ipv6.Capacity;

    /// <summary>Which source ports are taken, where free ones are rare.</summary>
    internal SnatPortPools SnatPorts => _snatPorts;

    /// <summary>Flows that were never established and had to go early, because a table was full or ports were rare.</summary>
    public long Evicted => _ipv4.Evicted.Total + _ipv6.Evicted.Total;

    /// <summary>Those of them since the last call, for a worker's counters.</summary>
    public long TakeEvicted() => _ipv4.Evicted.Take() + _ipv6.Evicted.Take();

    /// <summary>Workers that have a row of counters.</summary>
    public int CounterRows => (int)_counters.Spec.Capacity;

    /// <summary>Tables in anonymous memory: for tests, explain, benchmarks.</summary>
    public static FlowTables CreateInMemory(FlowCapacities capacities) => new(
        MapFile.CreateAnonymous(ConntrackTable<FlowKey4>.SpecOf(Ipv4Name, capacities.Ipv4)),
        MapFile.CreateAnonymous(ConntrackTable<FlowKey6>.SpecOf(Ipv6Name, capacities.Ipv6)),
        MapFile.CreateAnonymous(CountersSpec(capacities.Workers)),
        MapFile.CreateAnonymous(AffinityTable<AffinityKey4>.SpecOf(Affinity4Name, capacities.Affinity)),
        MapFile.CreateAnonymous(AffinityTable<AffinityKey6>.SpecOf(Affinity6Name, capacities.Affinity)),
        MapFile.CreateAnonymous(FragmentTable.SpecOf(FragmentsName, capacities.Fragments)));

    /// <summary>Makes or validates the files of a state directory, copying flows where a capacity has changed, and opens them
    /// for handing on to the dataplane.</summary>
    /// <remarks>For the agent, under agent.lock and while no dataplane runs on these files: a running one keeps its own.</remarks>
    /// <exception cref="MapFileException">No space, no right.</exception>
    public static FlowTables OpenForWriting(string stateDirectory, FlowCapacities capacities, Action<string> warn)
    {
        string directory = FlowDirectory.Make(stateDirectory);
        var reports = new List<MapFileReport>();
        var tables = new FlowTables(
            OpenConntrack<FlowKey4>(directory, Ipv4Name, capacities.Ipv4, reports, warn),
            OpenConntrack<FlowKey6>(directory, Ipv6Name, capacities.Ipv6, reports, warn),
            Open(directory, CountersSpec(capacities.Workers), upgrade: (_, _) => true, reports),
            OpenAffinity<AffinityKey4>(directory, Affinity4Name, capacities.Affinity, reports),
            OpenAffinity<AffinityKey6>(directory, Affinity6Name, capacities.Affinity, reports),
            OpenFragments(directory, capacities.Fragments, reports));
        if (MapFileReport.TellOfSetAside(reports) is { } aside)
        {
            warn($"Flow tables could not be used; they are set aside and what was in them is forgotten: {aside}.");
        }

        return tables;
    }

    /// <summary>The dataplane's side: maps the files it was handed and adopts what is in them.</summary>
    /// <param name="files">By <see cref="FileNames"/>; this object owns them from now on.</param>
    /// <exception cref="MapFileException">A file is not what its name says.</exception>
    /// <exception cref="KeyNotFoundException">One is missing.</exception>
    public static FlowTables FromDescriptors(IReadOnlyDictionary<string, SafeFileHandle> files)
    {
        var tables = new FlowTables(
            MapFile.FromDescriptor(files[Ipv4Name], ConntrackTable<FlowKey4>.SpecOf(Ipv4Name, 1), writable: true),
            MapFile.FromDescriptor(files[Ipv6Name], ConntrackTable<FlowKey6>.SpecOf(Ipv6Name, 1), writable: true),
            MapFile.FromDescriptor(files[CountersName], CountersSpec(1), writable: true),
            MapFile.FromDescriptor(files[Affinity4Name], AffinityTable<AffinityKey4>.SpecOf(Affinity4Name, 1), writable: true),
            MapFile.FromDescriptor(files[Affinity6Name], AffinityTable<AffinityKey6>.SpecOf(Affinity6Name, 1), writable: true),
            MapFile.FromDescriptor(files[FragmentsName], FragmentTable.SpecOf(FragmentsName, 1), writable: true));
        tables.Adopted = tables.Adopt();
        tables._ipv4.File.ForgetPages();
        tables._ipv6.File.ForgetPages();
        tables._affinity4.File.ForgetPages();
        tables._affinity6.File.ForgetPages();
        return tables;
    }

    /// <summary>New descriptors of all files, by name, for <see cref="FromDescriptors"/> in another process.</summary>
    public IReadOnlyList<(string Name, SafeFileHandle Handle)> OpenDescriptors() =>
    [
        (Ipv4Name, _ipv4.File.OpenDescriptor(readOnly: false)),
        (Ipv6Name, _ipv6.File.OpenDescriptor(readOnly: false)),
        (CountersName, _counters.OpenDescriptor(readOnly: false)),
        (Affinity4Name, _affinity4.File.OpenDescriptor(readOnly: false)),
        (Affinity6Name, _affinity6.File.OpenDescriptor(readOnly: false)),
        (FragmentsName, _fragments.File.OpenDescriptor(readOnly: false)),
    ];

    /// <summary>Clears what a killed process left half done, and learns which places are free.</summary>
    /// <returns>Flows kept, and index words that were dropped.</returns>
    /// <remarks>Nobody else may write meanwhile. <see cref="FromDescriptors"/> does it.</remarks>
    public (int Kept, int Dropped) Adopt()
    {
        (int kept4, int dropped4) = _ipv4.Adopt(RememberBackend);
        (int kept6, int dropped6) = _ipv6.Adopt(RememberBackend);
        _affinity4.Adopt();
        _affinity6.Adopt();
        _fragments.Adopt();
        return (kept4 + kept6, dropped4 + dropped6);

        void RememberBackend(FlowTuple reply) => _backends.Add(reply.Source, reply.SourcePort, reply.Protocol);
    }

    /// <summary>Says who may have been sent flows that nobody remembers: their late replies must be known for what they are.</summary>
    /// <param name="backends">Of the load-balancing maps.</param>
    /// <remarks>Beside the workers: a dataplane that begins anew need not wait for it.</remarks>
    public void RememberBackends(ILbMap<uint, BackendEntry> backends)
    {
        foreach ((_, BackendEntry backend) in backends.Entries())
        {
            _backends.Add(backend.Address, backend.Port, backend.Protocol);
        }
    }

    /// <summary>The counters of a worker, from 0.</summary>
    public CounterRow Counters(int worker)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(worker);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(worker, CounterRows);
        return new CounterRow(_counters, worker);
    }

    /// <summary>Finds the flow of a packet by its tuple, whichever direction it has. Takes no lock.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookup(in FlowTuple tuple, long nowMs, out FlowHit hit) =>
        tuple.IsIpv4 ? _ipv4.TryLookup(tuple, nowMs, out hit) : _ipv6.TryLookup(tuple, nowMs, out hit);

    /// <summary>Says that this packet comes next: the memory in which its flow is looked for comes while the caller does something
    /// else. A glance at the bytes, which may be wrong, and decides nothing.</summary>
    /// <param name="packet">From the first byte of the IP header.</param>
    public void Anticipate(ReadOnlySpan<byte> packet)
    {
        if (FlowKey4.TryGlance(packet, out FlowKey4 key4, out IpProtocol protocol))
        {
            _ipv4.Anticipate(key4, protocol);
        }
        else if (FlowKey6.TryGlance(packet, out FlowKey6 key6, out protocol))
        {
            _ipv6.Anticipate(key6, protocol);
        }
    }

    /// <summary>Says that a flow with this reply tuple, or one much like it, is about to be created: its memory comes while the
    /// caller does something else. Changes nothing.</summary>
    public void Expect(in FlowTuple reply)
    {
        if (reply.IsIpv4)
        {
            _ipv4.Expect(reply);
        }
        else
        {
            _ipv6.Expect(reply);
        }
    }

    /// <summary>Remembers a flow: both tuples, or neither.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="hit">The new flow, as a lookup of its original tuple would find it.</param>
    public CreateResult TryCreate(in NewFlow flow, long nowMs, out FlowHit hit)
    {
        _backends.Add(flow.Reply.Source, flow.Reply.SourcePort, flow.Reply.Protocol); // before its first answer can come
        CreateResult result = flow.Original.IsIpv4
            ? _ipv4.TryCreate(flow, nowMs, out int place, out uint generation)
            : _ipv6.TryCreate(flow, nowMs, out place, out generation);
        if (result != CreateResult.Created)
        {
            hit = default;
            return result;
        }

        hit = new FlowHit
        {
            Translated = flow.Reply.Reverse,
            IsNew = true,
            Flags = flow.Flags,
            Queue = flow.Queue,
            BackendId = flow.BackendId,
            RevNatId = flow.RevNatId,
            ServicePortId = flow.ServicePortId,
            Revision = flow.Revision,
            Place = place,
            Generation = generation,
        };
        return CreateResult.Created;
    }

    /// <summary>Accounts a packet to its flow, changes the flow's state, and lets it live until <paramref name="expiresMs"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Record(in FlowHit hit, FlowState next, long expiresMs, int lengthBytes)
    {
        if (hit.Translated.IsIpv4)
        {
            _ipv4.Record(hit, next, expiresMs, lengthBytes);
        }
        else
        {
            _ipv6.Record(hit, next, expiresMs, lengthBytes);
        }
    }

    /// <summary>As <see cref="Record"/>, for an orphan: bits may go, too, and with 0 the time of its expiry stays.</summary>
    internal void RecordOrphan(in FlowHit hit, FlowState added, FlowState removed, long expiresMs, int lengthBytes)
    {
        if (hit.Translated.IsIpv4)
        {
            _ipv4.RecordOrphan(hit, added, removed, expiresMs, lengthBytes);
        }
        else
        {
            _ipv6.RecordOrphan(hit, added, removed, expiresMs, lengthBytes);
        }
    }

    /// <summary>Until when a flow lives, CLOCK_MONOTONIC milliseconds; 0 if it is gone.</summary>
    internal long ExpiresMs(in FlowHit hit) => hit.Translated.IsIpv4 ? _ipv4.ExpiresMs(hit) : _ipv6.ExpiresMs(hit);

    /// <summary>Remembers that the flow's backend still served at this revision of its service port.</summary>
    public void SetRevision(in FlowHit hit, ulong revision)
    {
        if (hit.Translated.IsIpv4)
        {
            _ipv4.SetRevision(hit, revision);
        }
        else
        {
            _ipv6.SetRevision(hit, revision);
        }
    }

    /// <summary>How long flows may be silent, for the choice of who must go when a table is full.</summary>
    public void UseTimeouts(in FlowTimeouts timeouts)
    {
        _ipv4.UseTimeouts(timeouts);
        _ipv6.UseTimeouts(timeouts);
    }

    /// <summary>Forgets a flow, unless another worker did already.</summary>
    public bool Remove(in FlowHit hit) => hit.Translated.IsIpv4
        ? _ipv4.Remove(hit.Place, hit.Generation)
        : _ipv6.Remove(hit.Place, hit.Generation);

    /// <summary>True if a packet with this tuple looks like the answer of a backend that flows were sent to.</summary>
    public bool LooksLikeReply(in FlowTuple tuple) => _backends.MayContain(tuple.Source, tuple.SourcePort, tuple.Protocol);

    /// <summary>True if an address looks like that of a backend that flows were sent to, at whatever port.</summary>
    public bool IsFromBackend(IpAddr source) => _backends.MayContain(source);

    /// <summary>One slice of expiry: looks at some places of each table, at most once per millisecond for all workers together.</summary>
    /// <param name="nowMs">CLOCK_MONOTONIC milliseconds.</param>
    /// <param name="budget">Places to look at in each table: some 5 ns each, more where a flow is removed.</param>
    /// <returns>Flows removed.</returns>
    public int Sweep(long nowMs, int budget)
    {
        long last = Volatile.Read(ref _sweptAtMs);
        if (nowMs <= last || Interlocked.CompareExchange(ref _sweptAtMs, nowMs, last) != last)
        {
            return 0;
        }

        _affinity4.Sweep(nowMs, Math.Max(1, budget / SweepsPerAffinitySweep));
        _affinity6.Sweep(nowMs, Math.Max(1, budget / SweepsPerAffinitySweep));
        _fragments.Sweep(nowMs, Math.Max(1, budget / SweepsPerFragmentSweep));
        return _ipv4.Sweep(nowMs, budget) + _ipv6.Sweep(nowMs, budget);
    }

    /// <summary>Forgets all flows that a filter matches. Reads the whole tables: not for a worker.</summary>
    /// <returns>Flows removed.</returns>
    public int Flush(FlowFilter filter, long nowMs) => _ipv4.Flush(filter, nowMs) + _ipv6.Flush(filter, nowMs);

    /// <summary>All flows, each of them whole; not a snapshot of one moment. For tests and explain; others use <see cref="Read(string, long)"/>.</summary>
    public IReadOnlyList<FlowSnapshot> List(long nowMs) => [.. _ipv4.List(nowMs), .. _ipv6.List(nowMs)];

    /// <inheritdoc/>
    public void Dispose()
    {
        _ipv4.File.Dispose();
        _ipv6.File.Dispose();
        _counters.Dispose();
        _affinity4.File.Dispose();
        _affinity6.File.Dispose();
        _fragments.File.Dispose();
    }

    private static MapFile OpenConntrack<TKey>(string directory, string name, int capacity, List<MapFileReport> reports, Action<string> warn)
        where TKey : unmanaged, IFlowKey<TKey>
    {
        MapFileSpec spec = ConntrackTable<TKey>.SpecOf(name, capacity);
        return Open(directory, spec, CopyFlows, reports);

        bool CopyFlows(MapFile old, MapFile fresh)
        {
            if (!old.Spec.HasLayoutOf(spec))
            {
                return false;
            }

            int lost = new ConntrackTable<TKey>(old).CopyTo(new ConntrackTable<TKey>(fresh));
            if (lost > 0)
            {
                warn($"{lost} flows of {name} do not fit its new capacity of {spec.Capacity} and are forgotten.");
            }

            return true;
        }
    }

    private static MapFile Open(string directory, MapFileSpec spec, MapFileUpgrade upgrade, List<MapFileReport> reports)
    {
        MapFile file = MapFile.OpenForWriting(directory, spec, upgrade, out MapFileReport report);
        reports.Add(report);
        return file;
    }

    internal static MapFileSpec CountersSpec(int workers) => new()
    {
        Name = CountersName,
        Capacity = (uint)workers,
        Places = (uint)workers,
        PlaceSize = CounterRow.Words * sizeof(ulong),
        Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };
}
