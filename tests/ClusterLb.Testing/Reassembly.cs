using System.Buffers.Binary;

namespace ClusterLb.Testing;

/// <summary>Puts fragments together as a receiver does. Written without any code of the dataplane.</summary>
/// <remarks>Knows what <see cref="PacketBuilder.Fragments"/> makes: for IPv6, no extension header behind the fragment header.</remarks>
public static class Reassembly
{
    /// <summary>The datagram, as <see cref="PacketBuilder.ToBytes"/> would have made it whole: don't-fragment set, identification 1.</summary>
    /// <param name="fragments">All of them, in any order.</param>
    public static byte[] Of(IReadOnlyList<byte[]> fragments) =>
        fragments[0][0] >> 4 == 4 ? OfIpv4(fragments) : OfIpv6(fragments);

    private static byte[] OfIpv4(IReadOnlyList<byte[]> fragments)
    {
        byte[] payload = Join(fragments.Select(f =>
            ((BinaryPrimitives.ReadUInt16BigEndian(f.AsSpan(6)) & 0x1FFF) * 8, f[((f[0] & 15) * 4)..])));
        byte[] header = fragments[0][..((fragments[0][0] & 15) * 4)];
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)(header.Length + payload.Length));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), 0x4000);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), 0);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), ReferenceChecksum.Compute(header));
        return [.. header, .. payload];
    }

    private static byte[] OfIpv6(IReadOnlyList<byte[]> fragments)
    {
        byte[] payload = Join(fragments.Select(f => (BinaryPrimitives.ReadUInt16BigEndian(f.AsSpan(42)) & 0xFFF8, f[48..])));
        byte[] header = fragments[0][..40];
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)payload.Length);
        header[6] = fragments[0][40];
        return [.. header, .. payload];
    }

    private static byte[] Join(IEnumerable<(int Offset, byte[] Bytes)> pieces)
    {
        var whole = new List<byte>();
        foreach ((int offset, byte[] bytes) in pieces.OrderBy(p => p.Offset))
        {
            if (offset != whole.Count)
            {
                throw new InvalidOperationException($"there is nothing between {whole.Count} and {offset}");
            }

            whole.AddRange(bytes);
        }

        return [.. whole];
    }
}
