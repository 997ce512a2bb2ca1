namespace ClusterLb.Dataplane.Maps;

/// <summary>Who may use filtered frontends, per service port: a file per family, chosen by the block's address. The value is unused.</summary>
public sealed class SourceRangeMap : ILbMap<SourceRangeKey, byte>, ISharedMap
{
    private readonly TypedMap<SourceRangeKey, byte, SourceRangeKey4, SourceRangeVerdict, SourceRangeLayout4> _ipv4;
    private readonly TypedMap<SourceRangeKey, byte, SourceRangeKey6, SourceRangeVerdict, SourceRangeLayout6> _ipv6;
    private readonly PrefixLengths _lengths4;
    private readonly PrefixLengths _lengths6;

    internal SourceRangeMap(IMapSource source, int capacity)
    {
        HashMap<SourceRangeKey4, SourceRangeVerdict> ipv4 = source.Open<SourceRangeKey4, SourceRangeVerdict>("source_ranges4", capacity);
        HashMap<SourceRangeKey6, SourceRangeVerdict> ipv6 = source.Open<SourceRangeKey6, SourceRangeVerdict>("source_ranges6", capacity);
        _ipv4 = new(ipv4);
        _ipv6 = new(ipv6);
        _lengths4 = new PrefixLengths(ipv4.File);
        _lengths6 = new PrefixLengths(ipv6.File);
        if (ipv4.File.IsWritable)
        {
            _lengths4.Adopt(_ipv4.Entries().Select(entry => entry.Key.Sources.Length));
            _lengths6.Adopt(_ipv6.Entries().Select(entry => entry.Key.Sources.Length));
        }
    }

    /// <inheritdoc/>
    public string Name => "source_ranges";

    /// <inheritdoc/>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <inheritdoc/>
    public int Capacity => _ipv4.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _ipv4.Files.Concat(_ipv6.Files);

    /// <summary>True if a block of the service port contains the address: at most one lookup per prefix length in use.</summary>
    public bool IsAllowed(uint servicePortId, IpAddr source)
    {
        PrefixLengths lengths = source.IsIpv4 ? _lengths4 : _lengths6;
        for (int i = 0; i < PrefixLengths.WordCount; i++)
        {
            ulong word = lengths.Word(i);
            while (word != 0)
            {
                int length = PrefixLengths.Take(ref word, i);
                if (TryLookup(new SourceRangeKey(servicePortId, new IpPrefix(source, Math.Min(length, source.BitLength))), out _))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public bool TryLookup(in SourceRangeKey key, out byte entry) =>
        key.Sources.Address.IsIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in SourceRangeKey key, in byte entry)
    {
        if (TryLookup(key, out _))
        {
            return Replace(key, entry);
        }

        PrefixLengths lengths = LengthsOf(key);
        lengths.Add(key.Sources.Length);
        MapResult result = Replace(key, entry);
        if (result == MapResult.Full)
        {
            lengths.Remove(key.Sources.Length);
        }

        return result;
    }

    /// <inheritdoc/>
    public MapResult Delete(in SourceRangeKey key)
    {
        MapResult result = key.Sources.Address.IsIpv4 ? _ipv4.Delete(key) : _ipv6.Delete(key);
        if (result == MapResult.Ok)
        {
            LengthsOf(key).Remove(key.Sources.Length);
        }

        return result;
    }

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _ipv4.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<SourceRangeKey, byte>> Entries() => _ipv4.Entries().Concat(_ipv6.Entries());

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

    private MapResult Replace(in SourceRangeKey key, in byte entry) =>
        key.Sources.Address.IsIpv4 ? _ipv4.Update(key, entry) : _ipv6.Update(key, entry);

    private PrefixLengths LengthsOf(in SourceRangeKey key) => key.Sources.Address.IsIpv4 ? _lengths4 : _lengths6;
}
