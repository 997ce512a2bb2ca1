using System.Buffers.Binary;
using System.Numerics;

namespace ClusterLb.Dataplane.Packets;

/// <summary>The checksum of SCTP: CRC32c over the whole packet with its own field taken as zero (RFC 9260, appendix A).</summary>
public static class Crc32c
{
    /// <summary>Computes the CRC of some bytes.</summary>
    /// <returns>The number whose little-endian bytes stand in the header.</returns>
    public static uint Compute(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (byte b in bytes)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return ~crc;
    }

    /// <summary>Adjusts a CRC for one 32-bit word that changed; a wrong one stays wrong.</summary>
    /// <param name="crc">Of the bytes before the change.</param>
    /// <param name="oldWord">Host order.</param>
    /// <param name="newWord">Host order.</param>
    /// <param name="bytesAfter">How many bytes follow the word.</param>
    /// <remarks>
    /// A CRC is linear: two packets' CRCs differ by the CRC, without its complements, of what the packets differ in. That is the
    /// word followed by zeros, so the packet itself need not be read.
    /// </remarks>
    public static uint Update(uint crc, uint oldWord, uint newWord, int bytesAfter)
    {
        uint difference = BitOperations.Crc32C(0u, BinaryPrimitives.ReverseEndianness(oldWord ^ newWord));
        for (; bytesAfter >= sizeof(ulong); bytesAfter -= sizeof(ulong))
        {
            difference = BitOperations.Crc32C(difference, 0ul);
        }

        for (; bytesAfter > 0; bytesAfter--)
        {
            difference = BitOperations.Crc32C(difference, (byte)0);
        }

        return crc ^ difference;
    }
}
