using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>One file seen through neutral types.</summary>
internal sealed class TypedMap<TKey, TEntry, TFileKey, TFileValue, TLayout>(HashMap<TFileKey, TFileValue> map)
    : ILbMap<TKey, TEntry>, ISharedMap
    where TKey : notnull
    where TFileKey : unmanaged
    where TFileValue : unmanaged
    where TLayout : IMapLayout<TKey, TEntry, TFileKey, TFileValue>
{
    public string Name => map.File.Spec.Name;

    public int Count => map.Count;

    public int Capacity => map.Capacity;

    public MapFile File => map.File;

    public IEnumerable<MapFile> Files => [map.File];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryLookup(in TKey key, out TEntry entry)
    {
        if (map.TryLookup(TLayout.PackKey(key), out TFileValue value))
        {
            entry = TLayout.UnpackEntry(value);
            return true;
        }

        entry = default!;
        return false;
    }

    public MapResult Update(in TKey key, in TEntry entry) => map.Update(TLayout.PackKey(key), TLayout.PackEntry(entry));

    public MapResult Delete(in TKey key) => map.Delete(TLayout.PackKey(key));

    public ulong TakeNumber(ulong above = 0) => map.File.TakeNumber(above);

    public IEnumerable<KeyValuePair<TKey, TEntry>> Entries()
    {
        foreach (KeyValuePair<TFileKey, TFileValue> entry in map.Entries())
        {
            yield return KeyValuePair.Create(TLayout.UnpackKey(entry.Key), TLayout.UnpackEntry(entry.Value));
        }
    }

    public void Reclaim() => map.Reclaim();

    public void Dispose() => map.Dispose();
}
