using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>
/// Gives a packet another tuple: DNAT, reverse NAT and SNAT are the same change of bytes, and only differ in who chose the tuple.
/// </summary>
/// <remarks>
/// Addresses, ports and every checksum that covers them change in one call, so that no caller can forget one. Checksums are
/// updated, never computed anew: a packet that was damaged before it reached us must not leave with a valid checksum.
/// </remarks>
public static class AddressRewriter
{
    /// <summary>Rewrites the headers of <paramref name="packet"/> in place, and gives back the hop that the detour through us costs.</summary>
    /// <param name="packet">As it was parsed.</param>
    /// <param name="at">From the parser, for this packet.</param>
    /// <param name="from">From the parser, for this packet.</param>
    /// <param name="to">Same family and protocol. In a later fragment its ports are ignored.</param>
    /// <param name="partialChecksum">
    /// The transport checksum field holds the sum of the pseudo header, not complemented, and the device adds the rest later
    /// (virtio_net_hdr with NEEDS_CSUM, starting at this transport header).
    /// </param>
    public static void Rewrite(
        Span<byte> packet, in HeaderOffsets at, in FlowTuple from, in FlowTuple to, bool partialChecksum)
    {
        ulong addresses = at.IsIpv4
            ? IpRewriter.RewriteIpv4(packet, from, to)
            : IpRewriter.RewriteIpv6(packet, from, to);
        if (!at.IsLaterFragment)
        {
            TransportRewriter.Rewrite(packet[at.TransportOffset..at.TotalLength], at, addresses, from, to, partialChecksum);
        }
    }
}
