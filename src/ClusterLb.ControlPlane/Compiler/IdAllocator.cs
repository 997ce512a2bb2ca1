namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Gives ids to keys. An id stays with its key while the key is known; a released id is not given again.</summary>
/// <remarks>
/// Ids survive a restart in the maps themselves: what is found there is learned before the first new id is given. New ones are the
/// map's numbers: a released id is found nowhere, but flows may remember it.
/// </remarks>
/// <param name="takeNumber">A number never given before, above the argument: <c>ILbMap.TakeNumber</c> of the map that the ids are of.</param>
public sealed class IdAllocator<TKey>(Func<ulong, ulong> takeNumber)
    where TKey : notnull
{
    private readonly Dictionary<TKey, uint> _ids = [];
    private uint _highestSeen; // the file that counts may have been made anew; 0 is no id

    /// <summary>Keys with an id.</summary>
    public int Count => _ids.Count;

    /// <summary>Takes over an id from an earlier life.</summary>
    /// <returns>False if the key has another id already: then this one is not used.</returns>
    public bool Learn(TKey key, uint id)
    {
        Reserve(id);
        return id != 0 && _ids.TryAdd(key, id);
    }

    /// <summary>Never gives <paramref name="id"/> or one below it.</summary>
    public void Reserve(uint id) => _highestSeen = Math.Max(_highestSeen, id);

    /// <summary>The id of the key: a new one if it has none.</summary>
    /// <exception cref="OverflowException">Four billion ids were given since the maps were made.</exception>
    public uint Get(TKey key)
    {
        if (!_ids.TryGetValue(key, out uint id))
        {
            id = checked((uint)takeNumber(_highestSeen));
            _ids.Add(key, id);
        }

        return id;
    }

    /// <summary>The id of the key, if it has one.</summary>
    public bool TryGet(TKey key, out uint id) => _ids.TryGetValue(key, out id);

    /// <summary>Forgets the key.</summary>
    public void Release(TKey key) => _ids.Remove(key);
}
