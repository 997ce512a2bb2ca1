using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Dataplane.Tun;

/// <summary>The one place where an address in a batch becomes bytes or a slot.</summary>
internal static class PacketBatchInterop
{
    /// <summary>The address of an array that the collector does not move.</summary>
    public static nint AddressOf(byte[] pinned) => Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0);

    public static Span<byte> Bytes(nint address, int length) => MemoryMarshal.CreateSpan(ref MapFileInterop.Reference(address), length);

    public static ref uint Stage(ref BatchSlot slot) => ref Unsafe.As<PacketStage, uint>(ref slot.Stage);

    public static ref BatchSlot Slot(nint address) => ref Unsafe.As<byte, BatchSlot>(ref MapFileInterop.Reference(address));
}
