using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>
/// The answer to a packet that nobody will serve: what a host would say on whose port nobody listens, in the frontend's name.
/// </summary>
/// <remarks>
/// TCP is answered by a reset (RFC 9293, section 3.10.7.1), all else by ICMP or ICMPv6 port unreachable. The answer replaces the
/// packet in its buffer and carries full checksums: its virtio_net_hdr must be zeroed. Never throws, never allocates.
/// </remarks>
public static class RejectReply
{
    /// <summary>Turns the packet in <paramref name="buffer"/> into its refusal.</summary>
    /// <param name="buffer">The packet, with room for <see cref="MaxLength"/> bytes. With less room the answer quotes less.</param>
    /// <param name="at">From the parser, for this packet.</param>
    /// <param name="tuple">From the parser, for this packet.</param>
    /// <returns>
    /// Bytes of the answer; 0 if there must be none (the packet is a reset, an ICMP message, a later fragment, or not from one
    /// host to one host), and then the packet is unchanged.
    /// </returns>
    public static int Build(Span<byte> buffer, in HeaderOffsets at, in FlowTuple tuple)
    {
        if (at.IsLaterFragment || at.IcmpKind != IcmpKind.None || !IsUnicast(tuple.Source) || !IsUnicast(tuple.Destination))
        {
            return 0;
        }

        return at.Protocol == IpProtocol.Tcp
            ? TcpReset.Build(buffer, at, tuple)
            : PortUnreachable.Build(buffer, at, tuple);
    }

    /// <summary>The longest answer, in bytes: the IPv6 minimum MTU (RFC 4443, section 2.4 c).</summary>
    public const int MaxLength = PortUnreachable.MaxLengthV6;

    internal static bool IsUnicast(IpAddr address) => address.IsIpv4
        ? address.Ipv4 is not 0 and < 0xE000_0000 // below multicast (224/4), class E and the broadcast address
        : address.High >> 56 != 0xFF && address != default;
}
