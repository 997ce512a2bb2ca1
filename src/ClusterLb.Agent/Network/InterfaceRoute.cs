using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>A unicast route of the main table that leaves by one interface.</summary>
/// <param name="InterfaceIndex">Of the interface.</param>
/// <param name="Destination">Who is reached by it.</param>
public readonly record struct InterfaceRoute(int InterfaceIndex, IpPrefix Destination);
