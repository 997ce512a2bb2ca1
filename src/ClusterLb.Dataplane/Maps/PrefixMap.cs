namespace ClusterLb.Dataplane.Maps;

/// <summary>A map whose keys hold a block of addresses: a file per family, chosen by the block's address, and which lengths are in use.</summary>
public abstract class PrefixMap<TKey, TEntry> : ILbMap<TKey, TEntry>, ISharedMap
    where TKey : notnull
{
    private readonly ILbMap<TKey, TEntry> _ipv4;
    private readonly ILbMap<TKey, TEntry> _ipv6;
    private readonly PrefixLengths _lengths4;
    private readonly PrefixLengths _lengths6;

    private protected PrefixMap(string name, ILbMap<TKey, TEntry> ipv4, ILbMap<TKey, TEntry> ipv6)
    {
        Name = name;
        _ipv4 = ipv4;
        _ipv6 = ipv6;
        _lengths4 = LengthsOf(ipv4);
        _lengths6 = LengthsOf(ipv6);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <inheritdoc/>
    public int Capacity => _ipv4.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => ((ISharedMap)_ipv4).Files.Concat(((ISharedMap)_ipv6).Files);

    /// <inheritdoc/>
    public abstract bool TryLookup(in TKey key, out TEntry entry);

    /// <inheritdoc/>
    public MapResult Update(in TKey key, in TEntry entry)
    {
        ILbMap<TKey, TEntry> map = Of(key);
        if (TryLookup(key, out _))
        {
            return map.Update(key, entry);
        }

        int length = BlockOf(key).Length;
        PrefixLengths lengths = LengthsFor(BlockOf(key).Address);
        lengths.Add(length);
        MapResult result = map.Update(key, entry);
        if (result == MapResult.Full)
        {
            lengths.Remove(length);
        }

        return result;
    }

    /// <inheritdoc/>
    public MapResult Delete(in TKey key)
    {
        MapResult result = Of(key).Delete(key);
        if (result == MapResult.Ok)
        {
            LengthsFor(BlockOf(key).Address).Remove(BlockOf(key).Length);
        }

        return result;
    }

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _ipv4.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<TKey, TEntry>> Entries() => _ipv4.Entries().Concat(_ipv6.Entries());

    void ISharedMap.Reclaim()
    {
        ((ISharedMap)_ipv4).Reclaim();
        ((ISharedMap)_ipv6).Reclaim();
    }

    void IDisposable.Dispose()
    {
        ((ISharedMap)_ipv4).Dispose();
        ((ISharedMap)_ipv6).Dispose();
        GC.SuppressFinalize(this);
    }

    private protected abstract IpPrefix BlockOf(in TKey key);

    /// <summary>The lengths that blocks of an address's family have.</summary>
    private protected PrefixLengths LengthsFor(IpAddr address) => address.IsIpv4 ? _lengths4 : _lengths6;

    private ILbMap<TKey, TEntry> Of(in TKey key) => BlockOf(key).Address.IsIpv4 ? _ipv4 : _ipv6;

    private PrefixLengths LengthsOf(ILbMap<TKey, TEntry> map)
    {
        MapFile file = ((ISharedMap)map).Files.Single();
        var lengths = new PrefixLengths(file);
        if (file.IsWritable)
        {
            lengths.Adopt(map.Entries().Select(entry => BlockOf(entry.Key).Length));
        }

        return lengths;
    }
}
