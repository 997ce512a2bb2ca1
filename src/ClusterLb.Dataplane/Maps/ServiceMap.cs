namespace ClusterLb.Dataplane.Maps;

/// <summary>Frontends and their slots: a file per family, chosen by the key's address.</summary>
public sealed class ServiceMap : ILbMap<ServiceKey, ServiceEntry>, ISharedMap
{
    private readonly TypedMap<ServiceKey, ServiceEntry, ServiceKey4, ServiceEntry, ServiceLayout4> _ipv4;
    private readonly TypedMap<ServiceKey, ServiceEntry, ServiceKey6, ServiceEntry, ServiceLayout6> _ipv6;

    internal ServiceMap(MapSource source, int capacity)
    {
        _ipv4 = new(source.Open<ServiceKey4, ServiceEntry>("services4", capacity));
        _ipv6 = new(source.Open<ServiceKey6, ServiceEntry>("services6", capacity));
    }

    /// <inheritdoc/>
    public string Name => "services";

    /// <inheritdoc/>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <inheritdoc/>
    public int Capacity => _ipv4.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _ipv4.Files.Concat(_ipv6.Files);

    /// <inheritdoc/>
    public bool TryLookup(in ServiceKey key, out ServiceEntry entry) =>
        key.Address.IsIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in ServiceKey key, in ServiceEntry entry) =>
        key.Address.IsIpv4 ? _ipv4.Update(key, entry) : _ipv6.Update(key, entry);

    /// <inheritdoc/>
    public MapResult Delete(in ServiceKey key) => key.Address.IsIpv4 ? _ipv4.Delete(key) : _ipv6.Delete(key);

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _ipv4.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<ServiceKey, ServiceEntry>> Entries() => _ipv4.Entries().Concat(_ipv6.Entries());

    void ISharedMap.Reclaim()
    {
        _ipv4.Reclaim();
        _ipv6.Reclaim();
    }

    void IDisposable.Dispose()
    {
        _ipv4.Dispose();
        _ipv6.Dispose();
    }
}
