using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Backends, or frontends, by id: a file per family, of which the entry's address says which; ids of both families are one space.</summary>
public sealed class ByIdMap<TEntry> : ILbMap<uint, TEntry>, ISharedMap
    where TEntry : struct, ITransportEntry<TEntry>
{
    private readonly TypedMap<uint, TEntry, uint, TransportAddress4, TransportLayout4<TEntry>> _ipv4;
    private readonly TypedMap<uint, TEntry, uint, TransportAddress6, TransportLayout6<TEntry>> _ipv6;

    internal ByIdMap(MapSource source, string name, int capacity)
    {
        Name = name;
        _ipv4 = new(source.Open<uint, TransportAddress4>(name + "4", capacity));
        _ipv6 = new(source.Open<uint, TransportAddress6>(name + "6", capacity));
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <inheritdoc/>
    public int Capacity => _ipv4.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _ipv4.Files.Concat(_ipv6.Files);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookup(in uint key, out TEntry entry) => _ipv4.TryLookup(key, out entry) || _ipv6.TryLookup(key, out entry);

    /// <summary>As <see cref="TryLookup(in uint, out TEntry)"/> for who knows the family: one file instead of two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookup(uint key, bool isIpv4, out TEntry entry) =>
        isIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in uint key, in TEntry entry)
    {
        // An id that changes its family: the new entry first, so that the id never names nothing.
        bool isIpv4 = entry.Address.IsIpv4;
        MapResult result = isIpv4 ? _ipv4.Update(key, entry) : _ipv6.Update(key, entry);
        if (result != MapResult.Full)
        {
            _ = isIpv4 ? _ipv6.Delete(key) : _ipv4.Delete(key);
        }

        return result;
    }

    /// <inheritdoc/>
    public MapResult Delete(in uint key) => _ipv4.Delete(key) == MapResult.Ok ? MapResult.Ok : _ipv6.Delete(key);

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _ipv4.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<uint, TEntry>> Entries() => _ipv4.Entries().Concat(_ipv6.Entries());

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
