namespace ClusterLb.Dataplane.Maps;

/// <summary>The Maglev tables as both planes see them: the entry of a key is a whole table of backend ids. Any number of readers, which
/// never wait; one writer.</summary>
public interface IMaglevMap
{
    /// <summary>The file's name in the state directory, and the label of its metrics.</summary>
    string Name { get; }

    /// <summary>Tables in use.</summary>
    int Count { get; }

    /// <summary>Tables that fit.</summary>
    int Capacity { get; }

    /// <summary>Slots of each table: a prime number.</summary>
    int TableSize { get; }

    /// <summary>Of the hash of flows, the same on every node; the tables were built with it.</summary>
    MaglevSeed Seed { get; set; }

    /// <summary>The backend of a slot of a table. Never waits, never throws, allocates nothing.</summary>
    /// <param name="key">Whose table.</param>
    /// <param name="hash">32 bits of a flow's hash, which choose the slot.</param>
    /// <param name="slot">The slot; 0 without a table.</param>
    /// <param name="backendId">The backend's id.</param>
    bool TryPick(in MaglevKey key, uint hash, out uint slot, out uint backendId);

    /// <summary>Copies a table out.</summary>
    /// <param name="key">Whose table.</param>
    /// <param name="table">Room for <see cref="TableSize"/> ids.</param>
    bool TryRead(in MaglevKey key, Span<uint> table);

    /// <summary>Inserts or replaces. Only the one writer may call it.</summary>
    /// <param name="key">Whose table.</param>
    /// <param name="table"><see cref="TableSize"/> ids.</param>
    MapResult Update(in MaglevKey key, ReadOnlySpan<uint> table);

    /// <summary>Removes. Only the one writer may call it.</summary>
    MapResult Delete(in MaglevKey key);

    /// <summary>Whose tables there are.</summary>
    IEnumerable<MaglevKey> Keys();
}
