namespace ClusterLb.Dataplane.Conntrack;

/// <summary>Which flows are meant. A property that is not set matches all.</summary>
public sealed record FlowFilter
{
    /// <summary>Every flow.</summary>
    public static FlowFilter All { get; } = new();

    /// <summary>TCP, UDP or SCTP.</summary>
    public IpProtocol? Protocol { get; init; }

    /// <summary>Of the client.</summary>
    public IpPrefix? Client { get; init; }

    /// <summary>The address that the client dials.</summary>
    public IpPrefix? Frontend { get; init; }

    /// <summary>The port that the client dials.</summary>
    public ushort? FrontendPort { get; init; }

    /// <summary>Of the backend.</summary>
    public IpPrefix? Backend { get; init; }

    /// <summary>The backend's id.</summary>
    public uint? BackendId { get; init; }

    /// <summary>The service port's id.</summary>
    public uint? ServicePortId { get; init; }

    /// <summary>True if the flow has every property that is set.</summary>
    public bool Matches(FlowSnapshot flow) =>
        (Protocol is null || flow.Original.Protocol == Protocol)
        && (Client is null || Client.Value.Contains(flow.Original.Source))
        && (Frontend is null || Frontend.Value.Contains(flow.Original.Destination))
        && (FrontendPort is null || flow.Original.DestinationPort == FrontendPort)
        && (Backend is null || Backend.Value.Contains(flow.Reply.Source))
        && (BackendId is null || flow.BackendId == BackendId)
        && (ServicePortId is null || flow.ServicePortId == ServicePortId);
}
