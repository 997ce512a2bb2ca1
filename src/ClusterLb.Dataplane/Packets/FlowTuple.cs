namespace ClusterLb.Dataplane.Packets;

/// <summary>The 5-tuple of a packet, in host order. For ICMP echo the ports are the identifier, twice.</summary>
/// <param name="Source">Of the same family as <paramref name="Destination"/>.</param>
/// <param name="Destination">Of the same family as <paramref name="Source"/>.</param>
/// <param name="SourcePort">0 to 65535.</param>
/// <param name="DestinationPort">0 to 65535.</param>
/// <param name="Protocol">TCP, UDP, SCTP or ICMP.</param>
public readonly record struct FlowTuple(
    IpAddr Source,
    IpAddr Destination,
    ushort SourcePort,
    ushort DestinationPort,
    IpProtocol Protocol)
{
    /// <summary>The tuple of an answer to a packet with this tuple.</summary>
    public FlowTuple Reverse => new(Destination, Source, DestinationPort, SourcePort, Protocol);

    /// <summary>True if both addresses are IPv4.</summary>
    public bool IsIpv4 => Source.IsIpv4;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Protocol.ToString().ToUpperInvariant()} {Source.WithPort(SourcePort)} -> {Destination.WithPort(DestinationPort)}";
}
