namespace ClusterLb.Dataplane.Packets;

/// <summary>Where the headers of a packet lie, and what the parser saw on its way there. Valid for that packet only.</summary>
/// <remarks>All offsets and lengths are in bytes and count from the first byte of the IP header.</remarks>
public readonly record struct HeaderOffsets
{
    /// <summary>Header and payload: at most 65535 for IPv4, 65575 for IPv6. Of a quoted packet, what the error has of it.</summary>
    public int TotalLength { get; init; }

    /// <summary>Where the transport header begins; in a later fragment, its piece of payload.</summary>
    public ushort TransportOffset { get; init; }

    /// <summary>The transport protocol.</summary>
    public IpProtocol Protocol { get; init; }

    /// <summary>The control bits, for TCP: conntrack wants them from each packet.</summary>
    public TcpFlags TcpFlags { get; init; }

    /// <summary>True for a segment that begins a TCP connection, whatever else it offers (ECN).</summary>
    public bool IsOpening => (TcpFlags & (TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Rst | TcpFlags.Fin)) == TcpFlags.Syn;

    /// <summary>Which kind of message, for ICMP.</summary>
    public IcmpKind IcmpKind { get; init; }

    /// <summary>True for IPv4, false for IPv6.</summary>
    public bool IsIpv4 { get; init; }

    /// <summary>True for every fragment but the last of a datagram.</summary>
    public bool MoreFragments { get; init; }

    /// <summary>Where this fragment's payload belongs in the datagram's, in bytes; 0 for a first fragment or a whole datagram.</summary>
    public ushort FragmentOffset { get; init; }

    /// <summary>With the addresses (for IPv4 also the protocol): which fragments belong together. 0 for a whole datagram.</summary>
    public uint FragmentId { get; init; }

    /// <summary>True for a piece of a datagram.</summary>
    public bool IsFragment => MoreFragments || FragmentOffset != 0;

    /// <summary>True for a fragment without transport header: ports are 0, and only addresses can be rewritten.</summary>
    public bool IsLaterFragment => FragmentOffset != 0;

    /// <summary>True for an ICMP error: <see cref="PacketParser.ParseEmbedded"/> reads the packet that it is about.</summary>
    public bool IsIcmpError => IcmpKind == IcmpKind.Error;

    /// <summary>Where the packet begins that an ICMP error quotes.</summary>
    public int EmbeddedOffset => TransportOffset + IcmpHeader.HeaderLength;
}
