namespace ClusterLb.Dataplane.Maps;

/// <summary>Blocks of addresses and what they are: a file per family, chosen by the block's address.</summary>
public sealed class NetworkMap : ILbMap<IpPrefix, NetworkFlags>, ISharedMap
{
    private readonly TypedMap<IpPrefix, NetworkFlags, NetworkKey4, uint, NetworkLayout4> _ipv4;
    private readonly TypedMap<IpPrefix, NetworkFlags, NetworkKey6, uint, NetworkLayout6> _ipv6;
    private readonly PrefixLengths _lengths4;
    private readonly PrefixLengths _lengths6;

    internal NetworkMap(IMapSource source, int capacity)
    {
        HashMap<NetworkKey4, uint> ipv4 = source.Open<NetworkKey4, uint>("networks4", capacity);
        HashMap<NetworkKey6, uint> ipv6 = source.Open<NetworkKey6, uint>("networks6", capacity);
        _ipv4 = new(ipv4);
        _ipv6 = new(ipv6);
        _lengths4 = new PrefixLengths(ipv4.File);
        _lengths6 = new PrefixLengths(ipv6.File);
        if (ipv4.File.IsWritable)
        {
            _lengths4.Adopt(_ipv4.Entries().Select(entry => entry.Key.Length));
            _lengths6.Adopt(_ipv6.Entries().Select(entry => entry.Key.Length));
        }
    }

    /// <inheritdoc/>
    public string Name => "networks";

    /// <inheritdoc/>
    public int Count => _ipv4.Count + _ipv6.Count;

    /// <inheritdoc/>
    public int Capacity => _ipv4.Capacity;

    IEnumerable<MapFile> ISharedMap.Files => _ipv4.Files.Concat(_ipv6.Files);

    /// <summary>The union of all blocks that contain the address: one lookup per prefix length in use.</summary>
    public NetworkFlags Classify(IpAddr address)
    {
        PrefixLengths lengths = address.IsIpv4 ? _lengths4 : _lengths6;
        var flags = NetworkFlags.None;
        for (int i = 0; i < PrefixLengths.WordCount; i++)
        {
            ulong word = lengths.Word(i);
            while (word != 0)
            {
                int length = PrefixLengths.Take(ref word, i);
                if (TryLookup(new IpPrefix(address, Math.Min(length, address.BitLength)), out NetworkFlags found))
                {
                    flags |= found;
                }
            }
        }

        return flags;
    }

    /// <inheritdoc/>
    public bool TryLookup(in IpPrefix key, out NetworkFlags entry) =>
        key.Address.IsIpv4 ? _ipv4.TryLookup(key, out entry) : _ipv6.TryLookup(key, out entry);

    /// <inheritdoc/>
    public MapResult Update(in IpPrefix key, in NetworkFlags entry)
    {
        if (TryLookup(key, out _))
        {
            return Replace(key, entry);
        }

        PrefixLengths lengths = LengthsOf(key);
        lengths.Add(key.Length);
        MapResult result = Replace(key, entry);
        if (result == MapResult.Full)
        {
            lengths.Remove(key.Length);
        }

        return result;
    }

    /// <inheritdoc/>
    public MapResult Delete(in IpPrefix key)
    {
        MapResult result = key.Address.IsIpv4 ? _ipv4.Delete(key) : _ipv6.Delete(key);
        if (result == MapResult.Ok)
        {
            LengthsOf(key).Remove(key.Length);
        }

        return result;
    }

    /// <inheritdoc/>
    public ulong TakeNumber(ulong above = 0) => _ipv4.TakeNumber(above);

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<IpPrefix, NetworkFlags>> Entries() => _ipv4.Entries().Concat(_ipv6.Entries());

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

    private MapResult Replace(in IpPrefix key, in NetworkFlags entry) =>
        key.Address.IsIpv4 ? _ipv4.Update(key, entry) : _ipv6.Update(key, entry);

    private PrefixLengths LengthsOf(in IpPrefix key) => key.Address.IsIpv4 ? _lengths4 : _lengths6;
}
