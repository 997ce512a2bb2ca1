using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Entries by id, of which the address says in which family's file they lie: ids of both families are one space.</summary>
internal sealed class ByIdMap<TEntry, TLayout4, TLayout6>(
    string name,
    TypedMap<uint, TEntry, uint, TransportAddress4, TLayout4> ipv4,
    TypedMap<uint, TEntry, uint, TransportAddress6, TLayout6> ipv6,
    Func<TEntry, bool> isIpv4)
    where TLayout4 : IMapLayout<uint, TEntry, uint, TransportAddress4>
    where TLayout6 : IMapLayout<uint, TEntry, uint, TransportAddress6>
{
    public string Name => name;

    public int Count => ipv4.Count + ipv6.Count;

    public int Capacity => ipv4.Capacity;

    public IEnumerable<MapFile> Files => ipv4.Files.Concat(ipv6.Files);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookup(uint id, out TEntry entry) => ipv4.TryLookup(id, out entry) || ipv6.TryLookup(id, out entry);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookupIpv4(uint id, out TEntry entry) => ipv4.TryLookup(id, out entry);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookupIpv6(uint id, out TEntry entry) => ipv6.TryLookup(id, out entry);

    public MapResult Update(uint id, in TEntry entry)
    {
        // An id that changes its family: the new entry first, so that the id never names nothing.
        if (isIpv4(entry))
        {
            MapResult result = ipv4.Update(id, entry);
            if (result != MapResult.Full)
            {
                ipv6.Delete(id);
            }

            return result;
        }
        else
        {
            MapResult result = ipv6.Update(id, entry);
            if (result != MapResult.Full)
            {
                ipv4.Delete(id);
            }

            return result;
        }
    }

    public MapResult Delete(uint id) => ipv4.Delete(id) == MapResult.Ok ? MapResult.Ok : ipv6.Delete(id);

    public ulong TakeNumber(ulong above = 0) => ipv4.TakeNumber(above);

    public IEnumerable<KeyValuePair<uint, TEntry>> Entries() => ipv4.Entries().Concat(ipv6.Entries());

    public void Reclaim()
    {
        ipv4.Reclaim();
        ipv6.Reclaim();
    }

    public void Dispose()
    {
        ipv4.Dispose();
        ipv6.Dispose();
    }
}
