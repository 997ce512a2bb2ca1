namespace ClusterLb.Dataplane.Host;

/// <summary>Which flows to forget: those that have every property given; all, if none is given.</summary>
/// <remarks>The form of a <c>FlowFilter</c> on the control socket: addresses are CIDR blocks as text.</remarks>
public sealed record FlushRequest
{
    /// <summary>IP protocol number.</summary>
    public byte? Protocol { get; init; }

    /// <summary>Of the client.</summary>
    public string? Client { get; init; }

    /// <summary>The address that the client dials.</summary>
    public string? Frontend { get; init; }

    /// <summary>The port that the client dials.</summary>
    public ushort? FrontendPort { get; init; }

    /// <summary>Of the backend.</summary>
    public string? Backend { get; init; }

    /// <summary>The backend's id.</summary>
    public uint? BackendId { get; init; }

    /// <summary>The service port's id.</summary>
    public uint? ServicePortId { get; init; }
}
