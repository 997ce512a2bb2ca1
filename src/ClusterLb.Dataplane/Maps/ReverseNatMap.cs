namespace ClusterLb.Dataplane.Maps;

/// <summary>Frontends by id: a file per family, one space of ids.</summary>
public sealed class ReverseNatMap : ILbMap<uint, ReverseNatEntry>, ISharedMap
{
    private readonly ByIdMap<ReverseNatEntry, ReverseNatLayout4, ReverseNatLayout6> _map;

    internal ReverseNatMap(IMapSource source, int capacity) => _map = new(
        "reverse_nat",
        new(source.Open<uint, TransportAddress4>("reverse_nat4", capacity)),
        new(source.Open<uint, TransportAddress6>("reverse_nat6", capacity)),
        entry => entry.Address.IsIpv4);

    /// <inheritdoc/>
    public string Name => _map.Name;

    /// <inheritdoc/>
    public int Count => _map.Count;

    /// <inheritdoc/>
    public int Capacity => _map.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _map.Files;

    /// <inheritdoc/>
    public bool TryLookup(in uint key, out ReverseNatEntry entry) => _map.TryLookup(key, out entry);

    /// <summary>As <see cref="TryLookup(in uint, out ReverseNatEntry)"/> for who knows the family: one file instead of two.</summary>
    public bool TryLookup(uint key, bool isIpv4, out ReverseNatEntry entry) =>
        isIpv4 ? _map.TryLookupIpv4(key, out entry) : _map.TryLookupIpv6(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in uint key, in ReverseNatEntry entry) => _map.Update(key, entry);

    /// <inheritdoc/>
    public MapResult Delete(in uint key) => _map.Delete(key);

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _map.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<uint, ReverseNatEntry>> Entries() => _map.Entries();

    void ISharedMap.Reclaim() => _map.Reclaim();

    void IDisposable.Dispose() => _map.Dispose();
}
