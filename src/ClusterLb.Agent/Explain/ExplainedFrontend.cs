namespace ClusterLb.Agent.Explain;

/// <summary>The frontend that a packet matched.</summary>
/// <param name="Id">Key of the reverse NAT map.</param>
/// <param name="Address"><c>10.96.0.10:80/TCP</c>.</param>
/// <param name="Service"><c>namespace/name:port</c>; empty if the name is not known.</param>
/// <param name="Type">ClusterIP, NodePort, LoadBalancer or ExternalIP.</param>
/// <param name="Scope">Which set of backends this source sees: all, external or internal.</param>
/// <param name="Set">Cluster or Local: which backends that scope has, by its traffic policy.</param>
/// <param name="Protocol">TCP, UDP, SCTP.</param>
/// <param name="Slots">Backends in that set.</param>
/// <param name="AffinitySeconds">How long a client stays with its backend; null without session affinity.</param>
/// <param name="Algorithm">How a new flow gets its backend.</param>
/// <param name="SharePercent">Of the new flows, for the backends of another service (a split); null without one.</param>
/// <param name="CanarySlots">Backends in that other set; null without a split.</param>
public sealed record ExplainedFrontend(
    uint Id, string Address, string Service, string Type, string Scope, string Set, string Protocol, uint Slots, uint? AffinitySeconds, string Algorithm,
    uint? SharePercent, uint? CanarySlots);
