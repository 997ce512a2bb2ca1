namespace ClusterLb.Dataplane.Tun;

/// <summary>The 10 bytes in front of every packet of a device with IFF_VNET_HDR (struct virtio_net_hdr, linux/virtio_net.h).</summary>
/// <remarks>
/// A translated packet takes its header back as it came: NAT moves no byte, so the lengths and offsets in it hold.
/// A packet that we built has a header of zeros: nothing left to compute, nothing to segment.
/// </remarks>
public static class VnetHeader
{
    /// <summary>Bytes, as set by TUNSETVNETHDRSZ: the header without the number of merged buffers.</summary>
    public const int Length = 10;

    private const int FlagsOffset = 0;
    private const int ChecksumStartOffset = 6;
    private const byte NeedsChecksum = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM

    /// <summary>True if the checksum field of the header at <see cref="ChecksumStart"/> holds the pseudo-header sum only, not complemented.</summary>
    /// <param name="frame">At least <see cref="Length"/> bytes.</param>
    public static bool HasPartialChecksum(ReadOnlySpan<byte> frame) => (frame[FlagsOffset] & NeedsChecksum) != 0;

    /// <summary>Where in the packet the transport header begins whose checksum is partial: of a tunnel's packet, the inner one.</summary>
    /// <param name="frame">At least <see cref="Length"/> bytes.</param>
    public static ushort ChecksumStart(ReadOnlySpan<byte> frame) => BitConverter.ToUInt16(frame[ChecksumStartOffset..]); // native order

    /// <summary>Makes it the header of a packet that is complete in itself.</summary>
    public static void Clear(Span<byte> frame) => frame[..Length].Clear();
}
