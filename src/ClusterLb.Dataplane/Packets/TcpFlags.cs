namespace ClusterLb.Dataplane.Packets;

/// <summary>The control bits of a TCP header, as they stand in its byte 13 (RFC 9293, section 3.1; ECN: RFC 3168).</summary>
[Flags]
public enum TcpFlags : byte
{
    /// <summary>No bit set.</summary>
    None = 0,

    /// <summary>No more data from the sender.</summary>
    Fin = 0x01,

    /// <summary>Begins a connection.</summary>
    Syn = 0x02,

    /// <summary>Ends a connection at once.</summary>
    Rst = 0x04,

    /// <summary>Hand over to the application.</summary>
    Psh = 0x08,

    /// <summary>The acknowledgement number counts.</summary>
    Ack = 0x10,

    /// <summary>The urgent pointer counts.</summary>
    Urg = 0x20,

    /// <summary>ECN echo.</summary>
    Ece = 0x40,

    /// <summary>Congestion window reduced.</summary>
    Cwr = 0x80,
}
