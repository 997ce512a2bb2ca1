namespace ClusterLb.Testing;

/// <summary>Checksums the slow and obvious way: word by word, carry by carry, bit by bit.</summary>
public static class ReferenceChecksum
{
    /// <summary>RFC 1071: the complement of the one's complement sum of big-endian words, odd byte padded with zero.</summary>
    public static ushort Compute(params ReadOnlySpan<byte> bytes) => (ushort)~Sum(0, bytes);

    /// <summary>One's complement sum, not complemented.</summary>
    public static ushort Sum(ushort start, ReadOnlySpan<byte> bytes)
    {
        uint sum = start;
        for (int i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)(bytes[i] << 8) + (i + 1 < bytes.Length ? bytes[i + 1] : 0u);
            if (sum > 0xFFFF)
            {
                sum -= 0xFFFF;
            }
        }

        return (ushort)sum;
    }

    /// <summary>CRC32c (reflected polynomial 0x82F63B78), one bit at a time.</summary>
    public static uint Crc32c(ReadOnlySpan<byte> bytes)
    {
        uint crc = 0xFFFF_FFFF;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1;
            }
        }

        return ~crc;
    }

    /// <summary>The sum of the pseudo header for addresses of 4 or 16 bytes each.</summary>
    public static ushort PseudoHeader(ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination, byte protocol, int length)
    {
        ushort sum = Sum(Sum(0, source), destination);
        return Sum(sum, [0, protocol, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length]);
    }
}
