using System.Buffers.Binary;

namespace ClusterLb.Testing;

/// <summary>A pcap file in the making, of every kind that there is. Written without any code of the program.</summary>
public sealed class PcapBuilder(int linkType = 101, bool isBigEndian = false, bool hasNanoseconds = false)
{
    private readonly List<byte> _bytes = [.. Header(linkType, isBigEndian, hasNanoseconds)];

    /// <summary>A packet with the link header of this file's type.</summary>
    /// <param name="packet">From its IP header on, or anything with <paramref name="etherType"/> said.</param>
    /// <param name="seconds">Since 1970.</param>
    /// <param name="etherType">If it is not that of the packet.</param>
    /// <param name="vlan">Whether it is tagged.</param>
    /// <param name="captured">How many bytes of it are captured; all, unless said.</param>
    public PcapBuilder Add(byte[] packet, double seconds = 0, ushort? etherType = null, bool vlan = false, int captured = int.MaxValue)
    {
        ushort type = etherType ?? (packet[0] >> 4 == 4 ? (ushort)0x0800 : (ushort)0x86dd);
        byte[] typeBytes = [(byte)(type >> 8), (byte)type];
        byte[] tag = vlan ? [0x81, 0, 0, 42] : [];
        byte[] frame = linkType switch
        {
            1 => [.. new byte[12], .. tag, .. typeBytes, .. packet],
            113 => [.. new byte[14], .. typeBytes, .. packet],
            276 => [.. typeBytes, .. new byte[18], .. packet],
            _ => packet,
        };
        long fraction = (long)Math.Round(seconds % 1 * (hasNanoseconds ? 1e9 : 1e6));
        byte[] kept = frame[..Math.Min(captured, frame.Length)];
        _bytes.AddRange(Number((uint)seconds));
        _bytes.AddRange(Number((uint)fraction));
        _bytes.AddRange(Number((uint)kept.Length));
        _bytes.AddRange(Number((uint)frame.Length));
        _bytes.AddRange(kept);
        return this;
    }

    /// <summary>The file.</summary>
    public byte[] ToBytes() => [.. _bytes];

    private byte[] Number(uint number) => Number(number, isBigEndian);

    private static byte[] Header(int linkType, bool isBigEndian, bool hasNanoseconds) =>
    [
        .. Number(hasNanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, isBigEndian),
        .. isBigEndian ? (byte[])[0, 2, 0, 4] : [2, 0, 4, 0],
        .. new byte[8], .. Number(262_144, isBigEndian), .. Number((uint)linkType, isBigEndian),
    ];

    private static byte[] Number(uint number, bool isBigEndian)
    {
        var bytes = new byte[4];
        if (isBigEndian)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        }
        else
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, number);
        }

        return bytes;
    }
}
