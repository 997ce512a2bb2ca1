namespace ClusterLb.Dataplane.Maps;

/// <summary>Backends by id: a file per family, one space of ids.</summary>
public sealed class BackendMap : ILbMap<uint, BackendEntry>, ISharedMap
{
    private readonly ByIdMap<BackendEntry, BackendLayout4, BackendLayout6> _map;

    internal BackendMap(IMapSource source, int capacity) => _map = new(
        "backends",
        new(source.Open<uint, TransportAddress4>("backends4", capacity)),
        new(source.Open<uint, TransportAddress6>("backends6", capacity)),
        entry => entry.Address.IsIpv4);

    /// <inheritdoc/>
    public string Name => _map.Name;

    /// <inheritdoc/>
    public int Count => _map.Count;

    /// <inheritdoc/>
    public int Capacity => _map.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _map.Files;

    /// <inheritdoc/>
    public bool TryLookup(in uint key, out BackendEntry entry) => _map.TryLookup(key, out entry);

    /// <summary>As <see cref="TryLookup(in uint, out BackendEntry)"/> for who knows the family: one file instead of two.</summary>
    public bool TryLookup(uint key, bool isIpv4, out BackendEntry entry) =>
        isIpv4 ? _map.TryLookupIpv4(key, out entry) : _map.TryLookupIpv6(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in uint key, in BackendEntry entry) => _map.Update(key, entry);

    /// <inheritdoc/>
    public MapResult Delete(in uint key) => _map.Delete(key);

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _map.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<uint, BackendEntry>> Entries() => _map.Entries();

    void ISharedMap.Reclaim() => _map.Reclaim();

    void IDisposable.Dispose() => _map.Dispose();
}
