namespace ClusterLb.Dataplane.Maps;

/// <summary>Answer of a map's writer.</summary>
public enum MapResult
{
    /// <summary>Done.</summary>
    Ok,

    /// <summary>Nothing to do: the key has this value already, or is not there.</summary>
    Unchanged,

    /// <summary>No room; nothing was changed.</summary>
    Full,
}

/// <summary>A load-balancing map as both planes see it. Any number of readers, which never wait; one writer.</summary>
public interface ILbMap<TKey, TEntry>
    where TKey : notnull
{
    /// <summary>The file's name in the state directory, and the label of its metrics.</summary>
    string Name { get; }

    /// <summary>Entries in use (both families).</summary>
    int Count { get; }

    /// <summary>Entries that fit (per family where a map has two files).</summary>
    int Capacity { get; }

    /// <summary>Copies the entry out. Never waits, never throws, allocates nothing.</summary>
    bool TryLookup(in TKey key, out TEntry entry);

    /// <summary>Inserts or replaces. Only the one writer may call it.</summary>
    MapResult Update(in TKey key, in TEntry entry);

    /// <summary>Removes. Only the one writer may call it.</summary>
    MapResult Delete(in TKey key);

    /// <summary>A number that this map never hands out again, from 1, over restarts of the writer too: ids.</summary>
    /// <remarks>Backend ids come from the backend map, frontend ids from reverse NAT, service port ids from the service port map.</remarks>
    /// <param name="above">The number is higher than this one: what other maps still name although this one was made anew.</param>
    ulong TakeNumber(ulong above = 0);

    /// <summary>All entries, each of them whole; not a snapshot of one moment: whoever enumerates may write, and may or may not meet what it
    /// wrote. For control path, CLI and tests.</summary>
    IEnumerable<KeyValuePair<TKey, TEntry>> Entries();
}
