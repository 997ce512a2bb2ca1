using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Simulation;

/// <summary>A map that tells of its writes.</summary>
/// <param name="map">Which does all.</param>
/// <param name="onWrite">Is given what became of a write, and gives it back.</param>
internal sealed class WatchedMap<TKey, TEntry>(ILbMap<TKey, TEntry> map, Func<MapResult, MapResult> onWrite) : ILbMap<TKey, TEntry>
    where TKey : notnull
{
    public string Name => map.Name;

    public int Count => map.Count;

    public int Capacity => map.Capacity;

    public bool TryLookup(in TKey key, out TEntry entry) => map.TryLookup(key, out entry);

    public MapResult Update(in TKey key, in TEntry entry) => onWrite(map.Update(key, entry));

    public MapResult Delete(in TKey key) => onWrite(map.Delete(key));

    public ulong TakeNumber(ulong above = 0) => map.TakeNumber(above);

    public IEnumerable<KeyValuePair<TKey, TEntry>> Entries() => map.Entries();
}
