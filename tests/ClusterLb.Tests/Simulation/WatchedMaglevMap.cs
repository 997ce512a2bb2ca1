using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Simulation;

/// <summary>Maglev tables that tell of their writes.</summary>
/// <param name="map">Which does all.</param>
/// <param name="onWrite">Is given what became of a write, and gives it back.</param>
internal sealed class WatchedMaglevMap(IMaglevMap map, Func<MapResult, MapResult> onWrite) : IMaglevMap
{
    public string Name => map.Name;

    public int Count => map.Count;

    public int Capacity => map.Capacity;

    public int TableSize => map.TableSize;

    public MaglevSeed Seed
    {
        get => map.Seed;
        set => map.Seed = value;
    }

    public bool TryPick(in MaglevKey key, uint hash, out uint slot, out uint backendId) => map.TryPick(key, hash, out slot, out backendId);

    public bool TryRead(in MaglevKey key, Span<uint> table) => map.TryRead(key, table);

    public MapResult Update(in MaglevKey key, ReadOnlySpan<uint> table) => onWrite(map.Update(key, table));

    public MapResult Delete(in MaglevKey key) => onWrite(map.Delete(key));

    public IEnumerable<MaglevKey> Keys() => map.Keys();
}
