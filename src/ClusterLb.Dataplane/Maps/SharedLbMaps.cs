using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The load-balancing maps in shared memory. One writer (the agent); readers in any process, which never wait.</summary>
/// <remarks>Writing is not thread-safe. Reading is, from any thread: by generation checks, or in the dataplane by epochs
/// (<see cref="WorkerSlots"/>). After <see cref="Dispose"/> the memory is gone; stop all readers before.</remarks>
public sealed class SharedLbMaps : LbMaps
{
    /// <summary>Directory of the maps, in the state directory.</summary>
    public const string DirectoryName = "maps";

    private const int DeparturesWord = 0; // of the header of serving

    private readonly MapFile? _epochFile; // of a reader; the writer's belongs to its epochs
    private readonly Epochs _epochs;
    private readonly TypedMap<ServingKey, byte, ServingFileKey, NoValue, ServingLayout> _serving;
    private readonly TypedMap<EligibleKey, byte, EligibleFileKey, NoValue, EligibleLayout> _eligible;
    private readonly TypedMap<uint, ServicePortEntry, uint, ServicePortValue, ServicePortLayout> _servicePorts;
    private readonly TypedMap<uint, string, uint, ServiceNameValue, ServiceNameLayout> _serviceNames;
    private readonly TypedMap<uint, NodeEntry, uint, NodeValue, NodeLayout> _node;
    private readonly string _flowsDirectory;

    private SharedLbMaps(MapSource source, LbMapCapacities capacities, Epochs epochs, MapFile? epochFile, string flowsDirectory = "")
    {
        _epochs = epochs;
        _epochFile = epochFile;
        _flowsDirectory = flowsDirectory;
        Services = new ServiceMap(source, capacities.Services);
        Backends = new ByIdMap<BackendEntry>(source, "backends", capacities.Backends);
        ReverseNat = new ByIdMap<ReverseNatEntry>(source, "reverse_nat", capacities.Frontends);
        Networks = new NetworkMap(source, capacities.Networks);
        SourceRanges = new SourceRangeMap(source, capacities.SourceRanges);
        _serving = new(source.Open<ServingFileKey, NoValue>("serving", capacities.Serving));
        _eligible = new(source.Open<EligibleFileKey, NoValue>("eligible", capacities.Eligible));
        _servicePorts = new(source.Open<uint, ServicePortValue>("service_ports", capacities.ServicePorts));
        _serviceNames = new(source.Open<uint, ServiceNameValue>("service_names", capacities.ServiceNames));
        _node = new(source.Open<uint, NodeValue>("node", 1));
        Maglev = new MaglevMap(source.OpenMaglev(capacities.MaglevTables, capacities.MaglevTableSize));
    }

    /// <inheritdoc/>
    public override ServiceMap Services { get; }

    /// <inheritdoc/>
    public override ByIdMap<BackendEntry> Backends { get; }

    /// <inheritdoc/>
    public override ByIdMap<ReverseNatEntry> ReverseNat { get; }

    /// <inheritdoc/>
    public override ILbMap<ServingKey, byte> Serving => _serving;

    /// <inheritdoc/>
    public override ILbMap<EligibleKey, byte> Eligible => _eligible;

    /// <inheritdoc/>
    public override MaglevMap Maglev { get; }

    /// <inheritdoc/>
    public override ILbMap<uint, ServicePortEntry> ServicePorts => _servicePorts;

    /// <inheritdoc/>
    public override ILbMap<uint, string> ServiceNames => _serviceNames;

    /// <inheritdoc/>
    public override NetworkMap Networks { get; }

    /// <inheritdoc/>
    public override SourceRangeMap SourceRanges { get; }

    /// <inheritdoc/>
    public override ILbMap<uint, NodeEntry> Node => _node;

    /// <inheritdoc/>
    public override ulong Departures => Volatile.Read(ref _serving.File.Word(DeparturesWord));

    /// <summary>Backends whose first flow is awaited; null for readers outside of the dataplane.</summary>
    public AwaitedBackends? Awaited { get; private init; }

    /// <summary>What opening for writing found, one report per file; empty for readers.</summary>
    public IReadOnlyList<MapFileReport> AdoptionReport { get; private init; } = [];

    /// <summary>True once a writer with other capacities or layouts has taken over: a reader should open the maps again.</summary>
    public bool IsRetired => Maps.SelectMany(map => map.Files).Any(file => file.IsRetired);

    /// <summary>How full every file is that can be full.</summary>
    public IEnumerable<MapFill> Fill => Maps.Where(map => map != _node).SelectMany(map => map.Files)
        .Select(file => new MapFill(file.Spec.Name, (int)file.Count, (int)file.Spec.Capacity));

    /// <summary>Signs of life of the dataplane's workers; empty for readers.</summary>
    public IReadOnlyList<WorkerHeartbeat> Heartbeats => _epochs.Heartbeats();

    internal MapFile EpochFile => _epochFile ?? _epochs.File ?? throw new InvalidOperationException("These maps have no workers.");

    private IEnumerable<ISharedMap> Maps =>
        [Services, Backends, ReverseNat, Networks, SourceRanges, _serving, _eligible, _servicePorts, _serviceNames, _node, Maglev];

    /// <summary>Anonymous memory, for tests, explain and benchmarks: written and read by one thread.</summary>
    public static SharedLbMaps CreateInMemory(LbMapCapacities capacities) =>
        new(MapSource.Anonymous(), capacities, Epochs.None, null) { Awaited = AwaitedBackends.CreateInMemory() };

    /// <summary>The one writer's view of DIR/maps, which is made or adopted. The caller holds agent.lock.</summary>
    /// <param name="stateDir">The state directory; it and its sub-directories are made if missing.</param>
    /// <param name="capacities">Other ones than before: the entries are copied to new files.</param>
    /// <param name="warn">Told, one line each, what an operator should know.</param>
    /// <exception cref="MapFileException">A file cannot be made.</exception>
    public static SharedLbMaps OpenForWriting(string stateDir, LbMapCapacities capacities, Action<string> warn)
    {
        string mapsDirectory = Path.Combine(stateDir, DirectoryName);
        Directory.CreateDirectory(mapsDirectory);
        string flowsDirectory = FlowDirectory.Make(stateDir);
        if (!MapFile.IsInMemory(mapsDirectory))
        {
            warn($"'{mapsDirectory}' is not on tmpfs: a write to a map may wait for the disk, tens of milliseconds. " +
                "Use a state directory under /run or /dev/shm.");
        }

        var reports = new List<MapFileReport>();
        MapFile workers = MapFile.OpenForWriting(flowsDirectory, WorkerSlots.Spec, null, out MapFileReport workersReport);
        MapFile epoch = MapFile.OpenForWriting(mapsDirectory, Epochs.Spec, null, out MapFileReport epochReport);
        var awaited = new AwaitedBackends(MapFile.OpenForWriting(mapsDirectory, AwaitedBackends.Spec, null, out MapFileReport awaitedReport));
        awaited.Clear();
        Seen(workersReport);
        Seen(epochReport);
        Seen(awaitedReport);

        Epochs epochs;
        using (workers)
        {
            epochs = Epochs.Over(epoch, workers.OpenDescriptor(readOnly: true));
        }

        var maps = new SharedLbMaps(MapSource.ForWriting(mapsDirectory, epochs, Seen), capacities, epochs, null, flowsDirectory)
        {
            AdoptionReport = reports,
            Awaited = awaited,
        };
        if (MapFileReport.TellOfSetAside(reports) is { } aside)
        {
            warn($"Maps could not be used; they are set aside and written anew: {aside}.");
        }

        return maps;

        void Seen(MapFileReport report)
        {
            reports.Add(report);
            if (report.Dropped > 0)
            {
                warn($"Map '{report.Name}' lost {report.Dropped} entries that made no sense or did not fit; {report.Entries} stay.");
            }
        }
    }

    /// <summary>A reader outside of the dataplane: works with the agent dead or alive, and checks generations.</summary>
    /// <exception cref="MapFileException">A file cannot be used.</exception>
    /// <exception cref="FileNotFoundException">There are no maps: no agent ever ran with this state directory.</exception>
    public static SharedLbMaps OpenForReading(string stateDir) =>
        new(MapSource.ForReading(Path.Combine(stateDir, DirectoryName)), LbMapCapacities.Small, Epochs.None, null);

    /// <summary>The dataplane's view: read-only mappings of descriptors that the agent handed over, protected by epochs.</summary>
    /// <param name="files">By name, those of <see cref="OpenDescriptors"/>; owned by the new object.</param>
    /// <exception cref="KeyNotFoundException">One is missing.</exception>
    /// <exception cref="MapFileException">One is not what its name says.</exception>
    public static SharedLbMaps FromDescriptors(IReadOnlyDictionary<string, SafeFileHandle> files) =>
        new(MapSource.Received(files), LbMapCapacities.Small, Epochs.None,
            MapFile.FromDescriptor(files[Epochs.FileName], Epochs.Spec, writable: false))
        {
            Awaited = new AwaitedBackends(MapFile.FromDescriptor(files[AwaitedBackends.FileName], AwaitedBackends.Spec, writable: false)),
        };

    /// <summary>Fresh descriptors of all maps and of the epoch, to hand to the dataplane; the caller disposes them.</summary>
    public IReadOnlyList<(string Name, SafeFileHandle Handle)> OpenDescriptors(bool readOnly) =>
        Maps.SelectMany(map => map.Files).Append(_epochs.File).Append(Awaited?.File).OfType<MapFile>()
            .Select(file => (file.Spec.Name, file.OpenDescriptor(readOnly)))
            .ToList();

    /// <summary>A fresh, writable descriptor of the file of <see cref="WorkerSlots"/>, to hand to the dataplane.</summary>
    public SafeFileHandle OpenWorkersDescriptor()
    {
        using MapFile file = MapFile.OpenForWriting(_flowsDirectory, WorkerSlots.Spec, null, out _);
        return file.OpenDescriptor(readOnly: false);
    }

    /// <summary>A fresh descriptor of the file of <see cref="BackendArrivals"/>: writable, to hand to the dataplane, or to read it.</summary>
    public SafeFileHandle OpenArrivalsDescriptor(bool readOnly)
    {
        using MapFile file = MapFile.OpenForWriting(_flowsDirectory, BackendArrivals.Spec, null, out _);
        return file.OpenDescriptor(readOnly);
    }

    /// <summary>Says that no dataplane lives: one that was killed in mid-batch holds no place back any more. Any thread.</summary>
    /// <remarks>Only who holds the dataplane's lease may call it; a dataplane that begins later counts again.</remarks>
    public void ForgetWorkers() => _epochs.ForgetWorkers();

    /// <summary>Frees places that no worker can hold any more. For the writer, after a batch of changes.</summary>
    public void Reclaim()
    {
        foreach (ISharedMap map in Maps)
        {
            map.Reclaim();
        }
    }

    /// <summary>Gives page tables back, no memory and no data: after a look through everything only what is touched again counts as
    /// resident memory of this process.</summary>
    public void ForgetPages()
    {
        foreach (MapFile file in Maps.SelectMany(map => map.Files))
        {
            file.ForgetPages();
        }
    }

    /// <inheritdoc/>
    public override void CountDeparture()
    {
        ref ulong departures = ref _serving.File.Word(DeparturesWord);
        Volatile.Write(ref departures, departures + 1); // release: after what it is about
    }

    /// <inheritdoc/>
    public override NetworkFlags Classify(IpAddr address) => Networks.Classify(address);

    /// <inheritdoc/>
    public override bool IsSourceAllowed(uint servicePortId, IpAddr source) => SourceRanges.IsAllowed(servicePortId, source);

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (ISharedMap map in Maps)
        {
            map.Dispose();
        }

        Awaited?.Dispose();
        _epochFile?.Dispose();
        if (_epochs != Epochs.None)
        {
            _epochs.Dispose();
        }
    }
}
