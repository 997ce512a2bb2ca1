using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The counters of one worker: plain 64-bit words in shared memory that only it writes.</summary>
public readonly struct CounterRow
{
    /// <summary>Words per worker: 1 KiB, whole cache lines, so that workers do not slow each other.</summary>
    public const int Words = 128;

    private readonly MapFile _file;
    private readonly nint _address;

    internal CounterRow(MapFile file, int worker)
    {
        _file = file;
        _address = file.AddressOf(file.Spec.PlacesOffset + ((long)worker * Words * sizeof(ulong)));
    }

    /// <summary>A row of its own, in anonymous memory.</summary>
    public static CounterRow CreateInMemory() => new(MapFile.CreateAnonymous(FlowTables.CountersSpec(1)), 0);

    /// <summary>The file that keeps the memory mapped.</summary>
    internal MapFile File => _file;

    /// <summary>Adds to a counter. A store of eight aligned bytes: readers never see half of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(int word, ulong amount)
    {
        System.Diagnostics.Debug.Assert((uint)word < Words, "a counter outside of the row");
        ref ulong counter = ref Unsafe.As<byte, ulong>(ref MapFileInterop.Reference(_address + (word * sizeof(ulong))));
        Volatile.Write(ref counter, counter + amount);
    }

    /// <summary>The value now.</summary>
    public ulong Read(int word)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(word);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(word, Words);
        return Volatile.Read(ref Unsafe.As<byte, ulong>(ref MapFileInterop.Reference(_address + (word * sizeof(ulong)))));
    }
}
