using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A flow as people and the control path see it: a copy of one moment.</summary>
public sealed record FlowSnapshot
{
    /// <summary>Client to frontend.</summary>
    public required FlowTuple Original { get; init; }

    /// <summary>Backend to client, or to the masquerade address: what answers look like.</summary>
    public required FlowTuple Reply { get; init; }

    /// <summary>In the words of the kernel's conntrack: SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, TIME_WAIT, CLOSE for TCP;
    /// UNREPLIED, ASSURED for the others.</summary>
    public required string State { get; init; }

    /// <summary>Packets from the client.</summary>
    public required ulong ClientPackets { get; init; }

    /// <summary>Bytes from the client, IP headers included.</summary>
    public required ulong ClientBytes { get; init; }

    /// <summary>Packets from the backend.</summary>
    public required ulong BackendPackets { get; init; }

    /// <summary>Bytes from the backend, IP headers included.</summary>
    public required ulong BackendBytes { get; init; }

    /// <summary>Until it is forgotten if no packet comes; 0 or less if that time has passed and nobody has swept it yet.</summary>
    public required long RemainingSeconds { get; init; }

    /// <summary>The frontend's id.</summary>
    public required uint RevNatId { get; init; }

    /// <summary>The service port's id.</summary>
    public required uint ServicePortId { get; init; }

    /// <summary>The backend's id.</summary>
    public required uint BackendId { get; init; }

    /// <summary>The service port's revision when the backend was last known to serve.</summary>
    public required ulong Revision { get; init; }

    /// <summary>The queue that its packets are written to.</summary>
    public required ushort Queue { get; init; }

    /// <summary>What was decided at its beginning.</summary>
    public required FlowFlags Flags { get; init; }

    /// <summary>What has become of its backend, for TCP: empty while it serves; <c>left</c>: it has left the service, and answers; <c>silent</c>:
    /// it owes an answer; <c>gone</c>: the client is reset.</summary>
    public required string BackendFate { get; init; }

    /// <summary>Where its packets go.</summary>
    public string Backend => Reply.Source.WithPort(Reply.SourcePort);

    internal static FlowSnapshot Of<TKey>(in FlowPlace<TKey> flow, long nowMs)
        where TKey : unmanaged, IFlowKey<TKey> => new()
        {
            Original = flow.Original.ToTuple(flow.Protocol),
            Reply = flow.Reply.ToTuple(flow.Protocol),
            State = StateText(flow.Protocol, (FlowState)(uint)flow.Life),
            ClientPackets = flow.ClientPackets,
            ClientBytes = flow.ClientBytes,
            BackendPackets = flow.BackendPackets,
            BackendBytes = flow.BackendBytes,
            RemainingSeconds = (flow.ExpiresMs - nowMs) / 1000,
            RevNatId = flow.RevNatId,
            ServicePortId = flow.ServicePortId,
            BackendId = flow.BackendId,
            Revision = flow.Revision,
            Queue = flow.Queue,
            Flags = flow.Flags,
            BackendFate = FateText((FlowState)(uint)flow.Life),
        };

    private static string FateText(FlowState state) =>
        (state & FlowState.BackendGone) != FlowState.None ? "gone"
        : (state & FlowState.AnswerDue) != FlowState.None ? "silent"
        : (state & FlowState.Orphaned) != FlowState.None ? "left"
        : "";

    private static string StateText(IpProtocol protocol, FlowState state) => protocol switch
    {
        IpProtocol.Tcp when (state & FlowState.Reset) != FlowState.None => "CLOSE",
        IpProtocol.Tcp when TcpFlow.IsClosing(state) => "TIME_WAIT",
        IpProtocol.Tcp when TcpFlow.IsHalfClosed(state) => "FIN_WAIT",
        IpProtocol.Tcp when (state & FlowState.Established) != FlowState.None => "ESTABLISHED",
        IpProtocol.Tcp when (state & FlowState.ReplySeen) != FlowState.None => "SYN_RECV",
        IpProtocol.Tcp => "SYN_SENT",
        _ when (state & FlowState.ReplySeen) != FlowState.None => "ASSURED",
        _ => "UNREPLIED",
    };
}
