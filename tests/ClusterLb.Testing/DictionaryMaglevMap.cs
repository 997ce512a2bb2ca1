using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Testing;

/// <summary>An <see cref="IMaglevMap"/> over a dictionary.</summary>
public sealed class DictionaryMaglevMap(int capacity) : IMaglevMap
{
    private readonly Dictionary<MaglevKey, uint[]> _tables = [];

    public string Name => "maglev";

    public int Count => _tables.Count;

    public int Capacity => capacity;

    public int TableSize { get; init; } = 1_021;

    public MaglevSeed Seed { get; set; }

    /// <summary>Updates and deletes that changed something.</summary>
    public int Writes { get; private set; }

    public bool TryPick(in MaglevKey key, uint hash, out uint slot, out uint backendId)
    {
        slot = (uint)(((ulong)hash * (uint)TableSize) >> 32);
        backendId = _tables.TryGetValue(key, out uint[]? table) ? table[slot] : 0;
        return table is not null;
    }

    public bool TryRead(in MaglevKey key, Span<uint> table)
    {
        bool found = _tables.TryGetValue(key, out uint[]? known);
        known?.CopyTo(table);
        return found;
    }

    public MapResult Update(in MaglevKey key, ReadOnlySpan<uint> table)
    {
        if (_tables.TryGetValue(key, out uint[]? known) ? known.AsSpan().SequenceEqual(table) : _tables.Count >= capacity)
        {
            return known is null ? MapResult.Full : MapResult.Unchanged;
        }

        _tables[key] = table.ToArray();
        Writes++;
        return MapResult.Ok;
    }

    public MapResult Delete(in MaglevKey key)
    {
        bool removed = _tables.Remove(key);
        Writes += removed ? 1 : 0;
        return removed ? MapResult.Ok : MapResult.Unchanged;
    }

    public IEnumerable<MaglevKey> Keys() => _tables.Keys;
}
