namespace ClusterLb.Agent.Replay;

/// <summary>What became of one packet of a capture.</summary>
public sealed record ReplayedPacket
{
    /// <summary>Its place in the capture, from 1, as Wireshark counts.</summary>
    public required int Number { get; init; }

    /// <summary>Seconds since the first packet.</summary>
    public required double Seconds { get; init; }

    /// <summary>forward, reject, drop, pass; skip for what is no IP packet.</summary>
    public required string Verdict { get; init; }

    /// <summary>Of a drop or rejection.</summary>
    public string? Reason { get; init; }

    /// <summary>As it was captured, as one line.</summary>
    public string? Packet { get; init; }

    /// <summary>As it was written, if that differs.</summary>
    public string? Written { get; init; }

    /// <summary><c>namespace/name:port</c>.</summary>
    public string? Service { get; init; }

    /// <summary>It began its flow.</summary>
    public bool NewFlow { get; init; }

    /// <summary>It goes from the backend to the client.</summary>
    public bool Reply { get; init; }

    /// <summary>The backend sees an address of the node.</summary>
    public bool Masqueraded { get; init; }

    /// <summary>The capture holds only its beginning.</summary>
    public bool Cut { get; init; }

    /// <summary>Which promise of the dataplane it broke; null as it should be.</summary>
    public string? Broken { get; init; }
}
