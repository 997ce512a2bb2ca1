namespace ClusterLb.Dataplane.Maps;

/// <summary>How a neutral key and entry lie in a file: the border between host order and the bytes of docs/maps.md.</summary>
internal interface IMapLayout<TKey, TEntry, TFileKey, TFileValue>
    where TFileKey : unmanaged
    where TFileValue : unmanaged
{
    static abstract TFileKey PackKey(in TKey key);

    static abstract TFileValue PackEntry(in TEntry entry);

    static abstract TKey UnpackKey(in TFileKey key);

    static abstract TEntry UnpackEntry(in TFileValue value);
}
