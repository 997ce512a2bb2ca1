using System.Collections.Concurrent;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Writes to the maps, counts what changed, and remembers which maps were full.</summary>
internal sealed class MapWriter(LbMaps maps)
{
    private readonly HashSet<string> _fullMaps = [];
    private readonly ConcurrentDictionary<string, MapOperations> _operations = new(StringComparer.Ordinal);

    public LbMaps Maps => maps;

    /// <summary>Updates and deletes that changed an entry, since the start.</summary>
    public long Writes { get; private set; }

    /// <summary>Writes refused for lack of room, since <see cref="ForgetFullMaps"/>.</summary>
    public long Refused { get; private set; }

    public IReadOnlyCollection<string> FullMaps => _fullMaps;

    /// <summary>By map, of those that were written to. Any thread.</summary>
    public ICollection<MapOperations> Operations => _operations.Values;

    public void ForgetFullMaps()
    {
        _fullMaps.Clear();
        Refused = 0;
    }

    /// <summary>Inserts or replaces.</summary>
    /// <returns>False if the map is full; then nothing was changed.</returns>
    public bool Put<TKey, TEntry>(ILbMap<TKey, TEntry> map, in TKey key, in TEntry entry)
        where TKey : notnull => CountUpdate(map.Update(key, entry), map.Name);

    /// <summary>Inserts or replaces a Maglev table.</summary>
    /// <returns>False if the map is full. That is no refusal: a service without a table is served completely.</returns>
    public bool PutTable(MaglevKey key, ReadOnlySpan<uint> table)
    {
        MapResult result = maps.Maglev.Update(key, table);
        if (result == MapResult.Full)
        {
            Of(maps.Maglev.Name).CountRefusal();
            return false;
        }

        return CountUpdate(result, maps.Maglev.Name);
    }

    public void Remove<TKey, TEntry>(ILbMap<TKey, TEntry> map, in TKey key)
        where TKey : notnull => CountDelete(map.Delete(key), map.Name);

    public void RemoveTable(MaglevKey key) => CountDelete(maps.Maglev.Delete(key), maps.Maglev.Name);

    private bool CountUpdate(MapResult result, string map)
    {
        switch (result)
        {
            case MapResult.Full:
                _fullMaps.Add(map);
                Refused++;
                Of(map).CountRefusal();
                return false;
            case MapResult.Ok:
                Writes++;
                Of(map).CountUpdate();
                return true;
            default:
                return true;
        }
    }

    private void CountDelete(MapResult result, string map)
    {
        if (result == MapResult.Ok)
        {
            Writes++;
            Of(map).CountDelete();
        }
    }

    private MapOperations Of(string map) => _operations.GetOrAdd(map, static name => new MapOperations(name));
}
