using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Writes to the maps, counts what changed, and remembers which maps were full.</summary>
internal sealed class MapWriter(LbMaps maps)
{
    private readonly HashSet<string> _fullMaps = [];

    public LbMaps Maps => maps;

    /// <summary>Updates and deletes that changed an entry, since the start.</summary>
    public long Writes { get; private set; }

    /// <summary>Writes refused for lack of room, since <see cref="ForgetFullMaps"/>.</summary>
    public long Refused { get; private set; }

    public IReadOnlyCollection<string> FullMaps => _fullMaps;

    public void ForgetFullMaps()
    {
        _fullMaps.Clear();
        Refused = 0;
    }

    /// <summary>Inserts or replaces.</summary>
    /// <returns>False if the map is full; then nothing was changed.</returns>
    public bool Put<TKey, TEntry>(ILbMap<TKey, TEntry> map, in TKey key, in TEntry entry)
        where TKey : notnull
    {
        return Count(map.Update(key, entry), map.Name);
    }

    private bool Count(MapResult result, string map)
    {
        switch (result)
        {
            case MapResult.Full:
                _fullMaps.Add(map);
                Refused++;
                return false;
            case MapResult.Ok:
                Writes++;
                return true;
            default:
                return true;
        }
    }

    /// <summary>Inserts or replaces a Maglev table.</summary>
    /// <returns>False if the map is full.</returns>
    public bool PutTable(MaglevKey key, ReadOnlySpan<uint> table) => Count(maps.Maglev.Update(key, table), maps.Maglev.Name);

    public void RemoveTable(MaglevKey key) => Count(maps.Maglev.Delete(key), maps.Maglev.Name);

    public void Remove<TKey, TEntry>(ILbMap<TKey, TEntry> map, in TKey key)
        where TKey : notnull
    {
        if (map.Delete(key) == MapResult.Ok)
        {
            Writes++;
        }
    }
}
