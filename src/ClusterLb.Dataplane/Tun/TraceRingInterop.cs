using System.Runtime.CompilerServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Tun;

/// <summary>The one place where an offset in the trace file becomes a record.</summary>
internal static class TraceRingInterop
{
    public static ref TraceRecord Record(MapFile file, long offset) =>
        ref Unsafe.As<byte, TraceRecord>(ref Whole(file, offset, TraceRecord.Size));

    public static ref ulong Word(MapFile file, long offset) => ref Unsafe.As<byte, ulong>(ref Whole(file, offset, sizeof(ulong)));

    private static ref byte Whole(MapFile file, long offset, int size)
    {
        _ = ref file.At(offset + size - 1); // the bounds check of the last byte
        return ref file.At(offset);
    }
}
