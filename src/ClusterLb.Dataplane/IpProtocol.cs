namespace ClusterLb.Dataplane;

/// <summary>Transport protocols by their IANA number.</summary>
public enum IpProtocol : byte
{
    /// <summary>No protocol: the wildcard of a frontend (Cilium's ANY).</summary>
    Any = 0,

    /// <summary>ICMP for IPv4 (RFC 792).</summary>
    Icmp = 1,

    /// <summary>RFC 9293.</summary>
    Tcp = 6,

    /// <summary>RFC 768.</summary>
    Udp = 17,

    /// <summary>ICMP for IPv6 (RFC 4443).</summary>
    IcmpV6 = 58,

    /// <summary>RFC 9260.</summary>
    Sctp = 132,
}
