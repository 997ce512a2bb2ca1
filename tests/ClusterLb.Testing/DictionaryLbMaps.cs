using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Testing;

/// <summary>The simple twin of the shared-memory maps: one dictionary per map, one thread. Counts the writes.</summary>
/// <param name="capacity">Of each map: to see what happens when there is no room.</param>
public sealed class DictionaryLbMaps(int capacity = int.MaxValue) : LbMaps
{
    private ulong _departures;

    public override DictionaryMap<ServiceKey, ServiceEntry> Services { get; } = new("services", capacity);

    public override DictionaryMap<uint, BackendEntry> Backends { get; } = new("backends", capacity);

    public override DictionaryMap<uint, ReverseNatEntry> ReverseNat { get; } = new("reverse_nat", capacity);

    public override DictionaryMap<ServingKey, byte> Serving { get; } = new("serving", capacity);

    public override DictionaryMap<EligibleKey, byte> Eligible { get; } = new("eligible", capacity);

    public override DictionaryMap<uint, ServicePortEntry> ServicePorts { get; } = new("service_ports", capacity);

    public override DictionaryMap<uint, string> ServiceNames { get; } = new("service_names", capacity);

    public override DictionaryMap<IpPrefix, NetworkFlags> Networks { get; } = new("networks");

    public override DictionaryMap<SourceRangeKey, byte> SourceRanges { get; } = new("source_ranges", capacity);

    public override DictionaryMap<uint, NodeEntry> Node { get; } = new("node");

    public override DictionaryMaglevMap Maglev => Tables;

    /// <summary>Behind <see cref="Maglev"/>.</summary>
    public DictionaryMaglevMap Tables { get; init; } = new(Math.Min(capacity, 64));

    /// <summary>Called after every write to any of the maps: what a reader may find at that moment.</summary>
    public Action? AfterWrite
    {
        set => (Services.AfterWrite, Backends.AfterWrite, ReverseNat.AfterWrite, Serving.AfterWrite, Eligible.AfterWrite,
            ServicePorts.AfterWrite, ServiceNames.AfterWrite, Networks.AfterWrite, Node.AfterWrite,
            SourceRanges.AfterWrite) = (value, value, value, value, value, value, value, value, value, value);
    }

    /// <summary>Updates and deletes that changed something, in all maps.</summary>
    public int Writes => Services.Writes + Backends.Writes + ReverseNat.Writes + Serving.Writes + Eligible.Writes
        + ServicePorts.Writes + ServiceNames.Writes + Networks.Writes + Node.Writes + SourceRanges.Writes + Maglev.Writes;

    public override ulong Departures => _departures;

    public override void CountDeparture() => _departures++;

    public override NetworkFlags Classify(IpAddr address) =>
        Networks.Entries().Where(e => e.Key.Contains(address)).Aggregate(NetworkFlags.None, (flags, e) => flags | e.Value);

    public override bool IsSourceAllowed(uint servicePortId, IpAddr source) =>
        SourceRanges.Entries().Any(e => e.Key.ServicePortId == servicePortId && e.Key.Sources.Contains(source));

    public override void Dispose()
    {
    }
}

/// <summary>An <see cref="ILbMap{TKey, TEntry}"/> over a dictionary.</summary>
public sealed class DictionaryMap<TKey, TEntry>(string name, int capacity = int.MaxValue) : ILbMap<TKey, TEntry>
    where TKey : notnull
{
    private readonly Dictionary<TKey, TEntry> _entries = [];
    private ulong _lastNumber;

    public string Name => name;

    public int Count => _entries.Count;

    public int Capacity => capacity;

    /// <summary>Called after every update and delete that changed something.</summary>
    public Action? AfterWrite { get; set; }

    /// <summary>Updates and deletes that changed something.</summary>
    public int Writes { get; private set; }

    public bool TryLookup(in TKey key, out TEntry entry) => _entries.TryGetValue(key, out entry!);

    public MapResult Update(in TKey key, in TEntry entry)
    {
        if (_entries.TryGetValue(key, out TEntry? old))
        {
            if (EqualityComparer<TEntry>.Default.Equals(old, entry))
            {
                return MapResult.Unchanged;
            }
        }
        else if (_entries.Count >= capacity)
        {
            return MapResult.Full;
        }

        _entries[key] = entry;
        Writes++;
        AfterWrite?.Invoke();
        return MapResult.Ok;
    }

    public MapResult Delete(in TKey key)
    {
        if (!_entries.Remove(key))
        {
            return MapResult.Unchanged;
        }

        Writes++;
        AfterWrite?.Invoke();
        return MapResult.Ok;
    }

    public ulong TakeNumber(ulong above = 0) => _lastNumber = Math.Max(_lastNumber, above) + 1;

    public IEnumerable<KeyValuePair<TKey, TEntry>> Entries() => _entries.ToArray(); // who enumerates may write meanwhile
}
