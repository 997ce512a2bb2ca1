using System.Buffers.Binary;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>The answer to a ping of a service address, in that address's name (RFC 792; RFC 4443, section 4.2).</summary>
internal static class EchoReply
{
    /// <summary>True for a request that may be answered, and for its later fragments: of pings, only those with an answered first one are known.</summary>
    public static bool Answers(in HeaderOffsets at, in FlowTuple tuple) =>
        (at.IcmpKind == IcmpKind.EchoRequest || (at.IsLaterFragment && at.Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6))
        && RejectReply.IsUnicast(tuple.Source);

    /// <summary>Turns an echo request, or any fragment of one, into its reply in place. The length stays.</summary>
    /// <param name="packet">As it was parsed.</param>
    /// <param name="at">From the parser, for this packet.</param>
    /// <param name="tuple">From the parser, for this packet.</param>
    /// <param name="partialChecksum">See <see cref="AddressRewriter.Rewrite"/>.</param>
    /// <returns>Its tuple.</returns>
    public static FlowTuple Build(Span<byte> packet, in HeaderOffsets at, in FlowTuple tuple, bool partialChecksum)
    {
        FlowTuple reply = tuple.Reverse;
        AddressRewriter.Rewrite(packet, at, tuple, reply, partialChecksum);
        IpRewriter.SetHopLimit(packet, at.IsIpv4, CraftedIp.HopLimit); // not what the request had left: a traceroute has little
        if (!at.IsLaterFragment)
        {
            Span<byte> message = packet[at.TransportOffset..];
            ushort before = BinaryPrimitives.ReadUInt16BigEndian(message);
            message[0] = at.IsIpv4 ? IcmpHeader.EchoReplyV4 : IcmpHeader.EchoReplyV6;
            if (!partialChecksum)
            {
                Span<byte> field = message[IcmpHeader.ChecksumOffset..];
                ulong difference = InternetChecksum.Difference(before, BinaryPrimitives.ReadUInt16BigEndian(message));
                BinaryPrimitives.WriteUInt16BigEndian(
                    field, InternetChecksum.Update(BinaryPrimitives.ReadUInt16BigEndian(field), difference));
            }
        }

        return reply;
    }
}
