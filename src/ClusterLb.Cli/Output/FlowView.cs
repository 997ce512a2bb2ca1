using ClusterLb.Dataplane.Conntrack;

namespace ClusterLb.Cli.Output;

/// <summary>One flow of the conntrack table.</summary>
/// <param name="Protocol">TCP, UDP, SCTP, ICMP.</param>
/// <param name="State">In the words of the kernel's conntrack.</param>
/// <param name="Client">Who began it.</param>
/// <param name="Frontend">What it dialled.</param>
/// <param name="Backend">Where its packets go.</param>
/// <param name="BackendFate">Empty; <c>left</c> its service, <c>silent</c> since, or <c>gone</c>.</param>
/// <param name="SeenByBackend">The source that the backend sees; the client itself unless masqueraded.</param>
/// <param name="Masqueraded">The backend sees an address of this node.</param>
/// <param name="PacketsOut">From the client.</param>
/// <param name="BytesOut">From the client.</param>
/// <param name="PacketsIn">From the backend.</param>
/// <param name="BytesIn">From the backend.</param>
/// <param name="RemainingSeconds">Until it is forgotten if no packet comes.</param>
/// <param name="RevNatId">The frontend's id.</param>
/// <param name="ServicePortId">The service port's id.</param>
/// <param name="BackendId">The backend's id.</param>
/// <param name="Queue">The queue that its packets are written to.</param>
internal sealed record FlowView(
    string Protocol,
    string State,
    string Client,
    string Frontend,
    string Backend,
    string BackendFate,
    string SeenByBackend,
    bool Masqueraded,
    ulong PacketsOut,
    ulong BytesOut,
    ulong PacketsIn,
    ulong BytesIn,
    long RemainingSeconds,
    uint RevNatId,
    uint ServicePortId,
    uint BackendId,
    int Queue)
{
    /// <summary>The flow as people read it.</summary>
    public static FlowView Of(FlowSnapshot flow) => new(
        Words.ProtocolOf(flow.Original.Protocol),
        flow.State,
        flow.Original.Source.WithPort(flow.Original.SourcePort),
        flow.Original.Destination.WithPort(flow.Original.DestinationPort),
        flow.Backend,
        flow.BackendFate,
        flow.Reply.Destination.WithPort(flow.Reply.DestinationPort),
        flow.Flags.HasFlag(FlowFlags.Masqueraded),
        flow.ClientPackets,
        flow.ClientBytes,
        flow.BackendPackets,
        flow.BackendBytes,
        flow.RemainingSeconds,
        flow.RevNatId,
        flow.ServicePortId,
        flow.BackendId,
        flow.Queue);
}
