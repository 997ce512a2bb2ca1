using System.Buffers.Binary;

namespace ClusterLb.Dataplane.Packets;

/// <summary>Walks the extension headers of an IPv6 packet up to the transport header (RFC 8200, section 4).</summary>
internal ref struct Ipv6Extensions
{
    private const byte HopByHop = 0;
    private const byte Routing = 43;
    private const byte Fragment = 44;
    private const byte DestinationOptions = 60;

    private const int MinLength = 8; // bytes; also the unit of the length field
    private const int SegmentsLeftOffset = 3;
    private const int FragmentWordOffset = 2;
    private const int FragmentIdOffset = 4;

    // RFC 8200 names six in a useful packet. A bound keeps the work per packet fixed, whatever a sender makes up.
    private const int MaxHeaders = 8;

    /// <summary>Where the transport header begins, in bytes from the IPv6 header; in a later fragment, where its piece of payload does.</summary>
    public int TransportOffset { get; private set; }

    /// <summary>The transport protocol. In a later fragment <see cref="IpProtocol.Any"/> if options preceded it in the first one.</summary>
    public IpProtocol Protocol { get; private set; }

    /// <summary>True for a fragment of a datagram; an atomic fragment (RFC 6946) is a whole one.</summary>
    public bool IsFragment { get; private set; }

    /// <summary>In bytes; 0 for a first fragment.</summary>
    public int FragmentOffsetBytes { get; private set; }

    /// <summary>True for every fragment but the last.</summary>
    public bool MoreFragments { get; private set; }

    /// <summary>With source and destination: which fragments belong together.</summary>
    public uint FragmentId { get; private set; }

    /// <summary>Follows the chain to its end.</summary>
    /// <returns><see cref="DropReason.None"/>, or why the packet cannot be used.</returns>
    public DropReason Walk(Ipv6Header header)
    {
        ReadOnlySpan<byte> rest = header.Payload;
        byte next = header.NextHeader;
        TransportOffset = Ipv6Header.HeaderLength;

        for (int i = 0; IsExtension(next); i++)
        {
            if (i == MaxHeaders || (next == HopByHop && i > 0))
            {
                return DropReason.Malformed; // hop-by-hop options come first or not at all (RFC 8200, section 4.1)
            }

            if (rest.Length < MinLength)
            {
                return DropReason.Truncated;
            }

            int length = next == Fragment ? MinLength : (rest[1] + 1) * MinLength;
            if (length > rest.Length)
            {
                return DropReason.Truncated;
            }

            if (next == Routing && rest[SegmentsLeftOffset] != 0)
            {
                return DropReason.Malformed; // its transport checksum covers a destination that is not in the IPv6 header
            }

            if (next == Fragment && !TryReadFragment(rest))
            {
                return DropReason.Malformed;
            }

            next = rest[0];
            rest = rest[length..];
            TransportOffset += length;

            if (FragmentOffsetBytes > 0)
            {
                break; // what follows is a piece of payload, whatever the next header says
            }
        }

        Protocol = IsExtension(next) ? IpProtocol.Any : (IpProtocol)next;
        return DropReason.None;
    }

    private static bool IsExtension(byte next) => next is HopByHop or Routing or Fragment or DestinationOptions;

    private bool TryReadFragment(ReadOnlySpan<byte> fragment)
    {
        if (IsFragment)
        {
            return false; // a fragment of a fragment
        }

        int word = BinaryPrimitives.ReadUInt16BigEndian(fragment[FragmentWordOffset..]);
        FragmentOffsetBytes = word & 0xFFF8; // 13 bits in units of eight bytes, already in their place
        MoreFragments = (word & 1) != 0;
        FragmentId = BinaryPrimitives.ReadUInt32BigEndian(fragment[FragmentIdOffset..]);
        IsFragment = FragmentOffsetBytes > 0 || MoreFragments;
        return true;
    }
}
