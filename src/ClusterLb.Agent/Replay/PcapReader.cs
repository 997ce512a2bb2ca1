using System.Buffers.Binary;

namespace ClusterLb.Agent.Replay;

/// <summary>Reads the captures that tcpdump writes (draft-ietf-opsawg-pcap): either byte order, microseconds or nanoseconds.</summary>
/// <remarks>Link types: Ethernet, with VLAN tags; raw IP; Linux "any" in both versions. Not pcapng.</remarks>
public sealed class PcapReader : IDisposable
{
    private const uint Microseconds = 0xa1b2c3d4;
    private const uint Nanoseconds = 0xa1b23c4d;
    private const uint PcapNg = 0x0a0d0d0a; // reads alike in both byte orders
    private const int FileHeaderLength = 24;
    private const int RecordHeaderLength = 16;
    private const int LargestRecord = 262_144; // libpcap's own limit (MAXIMUM_SNAPLEN)

    private const int LinkEthernet = 1;
    private const int LinkAny = 113;
    private const int LinkAny2 = 276;

    private const ushort TypeIpv4 = 0x0800;
    private const ushort TypeIpv6 = 0x86dd;
    private const ushort TypeVlan = 0x8100;
    private const ushort TypeServiceVlan = 0x88a8;

    private readonly Stream _capture;
    private readonly bool _isBigEndian;
    private readonly long _nanosecondsPerFraction;
    private readonly int _linkType;
    private int _count;

    /// <summary>Reads the file's header.</summary>
    /// <param name="capture">Owned from now on.</param>
    /// <exception cref="PcapException">It is no capture, or of a kind that is not read.</exception>
    public PcapReader(Stream capture)
    {
        _capture = capture;
        Span<byte> header = stackalloc byte[FileHeaderLength];
        int length = capture.ReadAtLeast(header, FileHeaderLength, throwOnEndOfStream: false);
        uint magic = length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(header) : 0;
        if (magic == PcapNg)
        {
            throw new PcapException("it is a pcapng file, which is not read; 'editcap -F pcap IN OUT' or 'tcpdump -r IN -w OUT' makes a pcap of it");
        }

        _isBigEndian = BinaryPrimitives.ReverseEndianness(magic) is Microseconds or Nanoseconds;
        magic = _isBigEndian ? BinaryPrimitives.ReverseEndianness(magic) : magic;
        if (magic is not (Microseconds or Nanoseconds))
        {
            throw new PcapException("it is no pcap file: it does not begin with a1b2c3d4 or a1b23c4d");
        }

        if (length < FileHeaderLength)
        {
            throw new PcapException($"it ends within its header, after {length} bytes");
        }

        _nanosecondsPerFraction = magic == Nanoseconds ? 1 : 1000;
        _linkType = (int)(Number(header[20..]) & 0xFFFF); // above: length of a frame check sequence
        if (!IsKnown(_linkType))
        {
            throw new PcapException($"its link type is {_linkType}, but only Ethernet (1), raw IP (12, 14, 101, 228, 229) and Linux 'any' (113, 276) are read");
        }
    }

    /// <summary>The next packet; null at the end.</summary>
    /// <exception cref="PcapException">The file ends in the middle of a packet, or a record cannot be true.</exception>
    public CapturedPacket? Read()
    {
        Span<byte> header = stackalloc byte[RecordHeaderLength];
        int length = _capture.ReadAtLeast(header, RecordHeaderLength, throwOnEndOfStream: false);
        if (length == 0)
        {
            return null;
        }

        _count++;
        if (length < RecordHeaderLength)
        {
            throw new PcapException($"it ends within the header of packet {_count}");
        }

        uint captured = Number(header[8..]);
        if (captured > LargestRecord)
        {
            throw new PcapException($"packet {_count} claims to have {captured} bytes: the file is damaged");
        }

        var frame = new byte[captured];
        if (_capture.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false) < frame.Length)
        {
            throw new PcapException($"it ends within packet {_count}");
        }

        long timeNs = (Number(header) * 1_000_000_000L) + (Number(header[4..]) * _nanosecondsPerFraction);
        int offset = PacketOffset(frame);
        return new CapturedPacket(timeNs, offset < 0 ? [] : frame[offset..], captured < Number(header[12..]));
    }

    /// <inheritdoc/>
    public void Dispose() => _capture.Dispose();

    private uint Number(ReadOnlySpan<byte> bytes) =>
        _isBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    private static bool IsKnown(int linkType) => linkType is LinkEthernet or LinkAny or LinkAny2 || IsRaw(linkType);

    /// <summary>DLT_RAW of several systems, IPv4 and IPv6 alone.</summary>
    private static bool IsRaw(int linkType) => linkType is 12 or 14 or 101 or 228 or 229;

    /// <summary>Where the IP header begins; negative if there is none.</summary>
    private int PacketOffset(ReadOnlySpan<byte> frame)
    {
        if (IsRaw(_linkType))
        {
            return 0;
        }

        // Where the type of the payload stands, and how long the header is.
        (int typeAt, int length) = _linkType switch
        {
            LinkAny => (14, 16),
            LinkAny2 => (0, 20),
            _ => (12, 14),
        };
        while (frame.Length >= length)
        {
            ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[typeAt..]);
            if (type is TypeIpv4 or TypeIpv6)
            {
                return length;
            }

            if (type is not (TypeVlan or TypeServiceVlan))
            {
                return -1;
            }

            (typeAt, length) = (length + 2, length + 4); // the tag, then the type of what follows
        }

        return -1;
    }
}
