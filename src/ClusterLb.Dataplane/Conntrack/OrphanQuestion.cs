using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Dataplane.Conntrack;

/// <summary>A packet that one end of an orphaned connection shall be asked by.</summary>
/// <param name="Tuple">As the packet has it: from the other end's point of view, translated.</param>
/// <param name="Queue">The flow's.</param>
/// <param name="ToClient">Asks the client, else the backend.</param>
internal readonly record struct OrphanQuestion(FlowTuple Tuple, ushort Queue, bool ToClient);
