using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>The counters of one worker: plain 64-bit words in shared memory that only it writes.</summary>
public readonly struct CounterRow
{
    /// <summary>Words per worker: 1 KiB, whole cache lines, so that workers do not slow each other.</summary>
    public const int Words = 128;

    private readonly object _memory; // keeps what _address points to
    private readonly nint _address;

    internal CounterRow(MapFile file, int worker)
    {
        _memory = file;
        _address = file.AddressOf(file.Spec.PlacesOffset + ((long)worker * Words * sizeof(ulong)));
    }

    private CounterRow(ulong[] pinned)
    {
        _memory = pinned;
        _address = Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);
    }

    /// <summary>A row of its own, in this process's memory, which goes as any object goes.</summary>
    public static CounterRow CreateInMemory() => new(GC.AllocateArray<ulong>(Words, pinned: true));

    /// <summary>What must live as long as the row is used.</summary>
    internal object Memory => _memory;

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
