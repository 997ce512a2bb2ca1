using System.Runtime.InteropServices;

namespace ClusterLb.Dataplane.Maps;

/// <summary>The Maglev tables in shared memory.</summary>
public sealed class MaglevMap : IMaglevMap, ISharedMap
{
    // Words of the header.
    private const int SeedLowWord = 0;
    private const int SeedHighWord = 1;

    private readonly HashMap<MaglevKey, NoValue> _map;

    internal MaglevMap(HashMap<MaglevKey, NoValue> map)
    {
        _map = map;
        TableSize = (int)map.File.Spec.ValueSize / sizeof(uint);
    }

    /// <inheritdoc/>
    public string Name => MaglevLayout.FileName;

    /// <inheritdoc/>
    public int Count => _map.Count;

    /// <inheritdoc/>
    public int Capacity => _map.Capacity;

    /// <inheritdoc/>
    public int TableSize { get; }

    /// <inheritdoc/>
    public MaglevSeed Seed
    {
        get => new(Volatile.Read(ref _map.File.Word(SeedLowWord)), Volatile.Read(ref _map.File.Word(SeedHighWord)));
        set
        {
            Volatile.Write(ref _map.File.Word(SeedLowWord), value.Low);
            Volatile.Write(ref _map.File.Word(SeedHighWord), value.High);
        }
    }

    IEnumerable<MapFile> ISharedMap.Files => [_map.File];

    /// <inheritdoc/>
    public bool TryPick(in MaglevKey key, uint hash, out uint slot, out uint backendId)
    {
        backendId = 0;
        slot = (uint)(((ulong)hash * (uint)TableSize) >> 32);
        return _map.TryReadTail(key, (int)slot * sizeof(uint), MemoryMarshal.AsBytes(new Span<uint>(ref backendId)));
    }

    /// <inheritdoc/>
    public bool TryRead(in MaglevKey key, Span<uint> table) =>
        _map.TryReadTail(key, 0, MemoryMarshal.AsBytes(table[..TableSize]));

    /// <inheritdoc/>
    public MapResult Update(in MaglevKey key, ReadOnlySpan<uint> table)
    {
        System.Diagnostics.Debug.Assert(table.Length == TableSize, "a table of another size");
        return _map.Update(key, default, MemoryMarshal.AsBytes(table));
    }

    /// <inheritdoc/>
    public MapResult Delete(in MaglevKey key) => _map.Delete(key);

    /// <inheritdoc/>
    public IEnumerable<MaglevKey> Keys() => _map.Entries().Select(entry => entry.Key);

    void ISharedMap.Reclaim() => _map.Reclaim();

    void IDisposable.Dispose() => _map.Dispose();
}
