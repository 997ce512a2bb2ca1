namespace ClusterLb.ControlPlane.Compiler;

/// <summary>Gives ids to keys. An id stays with its key while the key is known; a released id is not given again.</summary>
/// <remarks>Ids survive a restart in the maps themselves: what is found there is learned before the first new id is given.</remarks>
public sealed class IdAllocator<TKey>
    where TKey : notnull
{
    private readonly Dictionary<TKey, uint> _ids = [];
    private uint _last; // 0 is no id

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
    public void Reserve(uint id) => _last = Math.Max(_last, id);

    /// <summary>The id of the key: a new one if it has none.</summary>
    /// <exception cref="OverflowException">Four billion ids were given since the maps were made.</exception>
    public uint Get(TKey key)
    {
        if (!_ids.TryGetValue(key, out uint id))
        {
            id = checked(_last + 1);
            _ids.Add(key, id);
            _last = id;
        }

        return id;
    }

    /// <summary>The id of the key, if it has one.</summary>
    public bool TryGet(TKey key, out uint id) => _ids.TryGetValue(key, out id);

    /// <summary>Forgets the key.</summary>
    public void Release(TKey key) => _ids.Remove(key);
}
