using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Pipeline;

/// <summary>A segment that an end of a TCP connection has to answer although we know neither its sequence numbers nor its window.</summary>
/// <remarks>
/// <para>The backend is sent a SYN: whoever has the connection answers with an acknowledgement and changes nothing (RFC 5961, section 4.2),
/// and a firewall's connection tracking between us takes it for what it is, where it would call a segment outside of the window invalid.
/// A host that has forgotten the connection begins another one or resets; both answers lead the client to a reset of its own.</para>
/// <para>The client is sent a bare acknowledgement outside of its window: it answers with its own numbers (RFC 9293, section 3.10.7.4), and
/// this answer is what can be refused by a reset that it believes.</para>
/// </remarks>
public static class OrphanProbe
{
    /// <summary>Bytes of the longer one, IPv6.</summary>
    public const int MaxLength = Ipv6Header.HeaderLength + TcpHeader.MinLength;

    // Any number is outside of the window with near certainty. Inside, nothing would follow: there is no data, and what is acknowledged
    // was never sent.
    private const uint SomeSequence = 0x436C_624C;

    /// <summary>Writes the segment.</summary>
    /// <param name="buffer">Room for <see cref="MaxLength"/> bytes.</param>
    /// <param name="tuple">From the other end.</param>
    /// <param name="toClient">Which of the two.</param>
    /// <returns>Bytes of the packet.</returns>
    internal static int Build(Span<byte> buffer, in FlowTuple tuple, bool toClient)
    {
        Span<byte> packet = buffer[..CraftedTcp.Length(tuple.IsIpv4)];
        CraftedTcp.Write(packet, tuple, SomeSequence, 0, toClient ? TcpFlags.Ack : TcpFlags.Syn);
        return packet.Length;
    }
}
