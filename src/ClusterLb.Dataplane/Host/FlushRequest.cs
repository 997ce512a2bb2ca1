using ClusterLb.Dataplane.Conntrack;

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

    /// <summary>As it is sent.</summary>
    public static FlushRequest Of(FlowFilter filter) => new()
    {
        Protocol = (byte?)filter.Protocol,
        Client = filter.Client?.ToString(),
        Frontend = filter.Frontend?.ToString(),
        FrontendPort = filter.FrontendPort,
        Backend = filter.Backend?.ToString(),
        BackendId = filter.BackendId,
        ServicePortId = filter.ServicePortId,
    };

    /// <summary>As it was meant.</summary>
    /// <exception cref="FormatException">A block is not one.</exception>
    public FlowFilter ToFilter() => new()
    {
        Protocol = (IpProtocol?)Protocol,
        Client = Block(Client),
        Frontend = Block(Frontend),
        FrontendPort = FrontendPort,
        Backend = Block(Backend),
        BackendId = BackendId,
        ServicePortId = ServicePortId,
    };

    private static IpPrefix? Block(string? text) => text is null ? null : IpPrefix.Parse(text);
}
