using System.Runtime.CompilerServices;

namespace ClusterLb.Dataplane.Packets;

/// <summary>From bytes to a <see cref="FlowTuple"/> and <see cref="HeaderOffsets"/>, or a reason to drop.</summary>
/// <remarks>
/// Checks every length once; whoever is given the offsets may rely on them. Never throws, never allocates, reads only.
/// </remarks>
public static class PacketParser
{
    /// <summary>Parses a whole packet.</summary>
    /// <param name="packet">From the first byte of the IP header. Bytes after the packet's own length are ignored.</param>
    /// <param name="tuple">In a later fragment and in ICMP messages other than echo, the ports are 0.</param>
    /// <param name="at">Good only if the answer is <see cref="DropReason.None"/>, like <paramref name="tuple"/>.</param>
    /// <returns>
    /// <see cref="DropReason.None"/>, <see cref="DropReason.Truncated"/>, <see cref="DropReason.Malformed"/>,
    /// <see cref="DropReason.BadChecksum"/> or <see cref="DropReason.UnknownProtocol"/>.
    /// </returns>
    public static DropReason Parse(ReadOnlySpan<byte> packet, out FlowTuple tuple, out HeaderOffsets at) =>
        ParseIp(packet, quoted: false, out tuple, out at);

    /// <summary>Parses the packet that an ICMP error quotes.</summary>
    /// <param name="packet">The packet with the error.</param>
    /// <param name="at">Its offsets; <see cref="HeaderOffsets.IsIcmpError"/> holds.</param>
    /// <param name="outer">Its tuple.</param>
    /// <param name="embedded">The tuple of the quoted packet: as it was sent, so from the one who is now told.</param>
    /// <param name="embeddedAt">Offsets in the quoted packet, which count from <see cref="HeaderOffsets.EmbeddedOffset"/>.</param>
    /// <returns><see cref="DropReason.None"/>, or why the error cannot be understood.</returns>
    public static DropReason ParseEmbedded(
        ReadOnlySpan<byte> packet,
        in HeaderOffsets at,
        in FlowTuple outer,
        out FlowTuple embedded,
        out HeaderOffsets embeddedAt)
    {
        DropReason reason = ParseIp(packet[at.EmbeddedOffset..at.TotalLength], quoted: true, out embedded, out embeddedAt);
        if (reason != DropReason.None)
        {
            return reason;
        }

        // An error about an error does not exist (RFC 1122, section 3.2.2), one of the other family cannot be translated, and
        // an error goes to the sender of what it is about: anything else is forged.
        return embeddedAt.IsIcmpError || embeddedAt.IsIpv4 != at.IsIpv4 || embedded.Source != outer.Destination
            ? DropReason.Malformed
            : DropReason.None;
    }

    private static DropReason ParseIp(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        if (packet.IsEmpty)
        {
            tuple = default;
            at = default;
            return DropReason.Truncated;
        }

        return packet[0] >> 4 == 4
            ? ParseIpv4(packet, quoted, out tuple, out at)
            : ParseIpv6(packet, quoted, out tuple, out at);
    }

    // Not inlined: the views below need the compiler's whole budget for inlining, else they become calls (measured: twice the time).
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static DropReason ParseIpv4(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        tuple = default;
        at = default;
        DropReason reason = Ipv4Header.Parse(packet, out Ipv4Header ip, quoted);
        if (reason != DropReason.None)
        {
            return reason;
        }

        bool isFragment = ip.MoreFragments || ip.FragmentOffsetBytes != 0;
        TransportFields transport = quoted || ip.FragmentOffsetBytes != 0
            ? TransportFields.ReadPart(ip.Payload, ip.Protocol, isIpv4: true, isLaterFragment: ip.FragmentOffsetBytes != 0)
            : TransportFields.Read(ip.Payload, ip.Protocol, isIpv4: true, isFragment);
        if (transport.Reason != DropReason.None)
        {
            return transport.Reason;
        }

        tuple = new FlowTuple(
            IpAddr.FromIpv4(ip.Source), IpAddr.FromIpv4(ip.Destination), transport.SourcePort, transport.DestinationPort, ip.Protocol);
        at = new HeaderOffsets
        {
            TotalLength = ip.Length,
            TransportOffset = (ushort)ip.HeaderLength,
            Protocol = ip.Protocol,
            TcpFlags = transport.TcpFlags,
            IcmpKind = transport.IcmpKind,
            IsIpv4 = true,
            MoreFragments = ip.MoreFragments,
            FragmentOffset = (ushort)ip.FragmentOffsetBytes,
            FragmentId = isFragment ? ip.Identification : 0u,
        };
        return DropReason.None;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static DropReason ParseIpv6(ReadOnlySpan<byte> packet, bool quoted, out FlowTuple tuple, out HeaderOffsets at)
    {
        tuple = default;
        at = default;
        DropReason reason = Ipv6Header.Parse(packet, out Ipv6Header ip, quoted);
        if (reason != DropReason.None)
        {
            return reason;
        }

        var extensions = default(Ipv6Extensions);
        reason = extensions.Walk(ip);
        if (reason != DropReason.None)
        {
            return reason;
        }

        ReadOnlySpan<byte> payload = ip.Payload[(extensions.TransportOffset - Ipv6Header.HeaderLength)..];
        TransportFields transport = quoted || extensions.FragmentOffsetBytes != 0
            ? TransportFields.ReadPart(payload, extensions.Protocol, isIpv4: false, isLaterFragment: extensions.FragmentOffsetBytes != 0)
            : TransportFields.Read(payload, extensions.Protocol, isIpv4: false, extensions.IsFragment);
        if (transport.Reason != DropReason.None)
        {
            return transport.Reason;
        }

        tuple = new FlowTuple(
            ip.Source, ip.Destination, transport.SourcePort, transport.DestinationPort, extensions.Protocol);
        at = new HeaderOffsets
        {
            TotalLength = ip.Length,
            TransportOffset = (ushort)extensions.TransportOffset,
            Protocol = extensions.Protocol,
            TcpFlags = transport.TcpFlags,
            IcmpKind = transport.IcmpKind,
            MoreFragments = extensions.MoreFragments,
            FragmentOffset = (ushort)extensions.FragmentOffsetBytes,
            FragmentId = extensions.IsFragment ? extensions.FragmentId : 0u,
        };
        return DropReason.None;
    }
}
