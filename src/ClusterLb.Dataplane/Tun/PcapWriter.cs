using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Tun;

/// <summary>Writes packets to a capture that tcpdump and Wireshark read: IP headers first, times in nanoseconds.</summary>
/// <remarks>The format is that of libpcap (draft-ietf-opsawg-pcap), little endian. Not thread-safe.</remarks>
public sealed class PcapWriter : IDisposable
{
    private const uint MagicNanoseconds = 0xa1b23c4d; // times are seconds and nanoseconds
    private const uint LinkTypeRaw = 101; // the packet begins with its IP header
    private const int FileHeaderLength = 24;
    private const int RecordHeaderLength = 16;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private readonly Stream _capture;

    /// <summary>Writes the file's header.</summary>
    /// <param name="capture">Owned from now on.</param>
    public PcapWriter(Stream capture)
    {
        _capture = capture;
        Span<byte> header = stackalloc byte[FileHeaderLength];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, MagicNanoseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2); // version 2.4
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], PacketBatch.MaxPacketLength);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], LinkTypeRaw);
        _capture.Write(header);
    }

    /// <summary>Writes one packet.</summary>
    /// <param name="packet">From the first byte of its IP header.</param>
    /// <param name="timeNs">Since 1970.</param>
    public void Write(ReadOnlySpan<byte> packet, long timeNs)
    {
        Span<byte> header = stackalloc byte[RecordHeaderLength];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(timeNs / NanosecondsPerSecond));
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)(timeNs % NanosecondsPerSecond));
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], packet.Length);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], packet.Length);
        _capture.Write(header);
        _capture.Write(packet);
    }

    /// <inheritdoc/>
    public void Dispose() => _capture.Dispose();
}
