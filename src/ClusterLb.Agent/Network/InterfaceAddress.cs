using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Network;

/// <summary>An address of an interface.</summary>
/// <param name="InterfaceIndex">Of the interface.</param>
/// <param name="Address">Local address.</param>
/// <param name="IsUsable">Neither tentative, duplicate nor deprecated.</param>
/// <param name="IsLinkLocal">Of link scope: nobody beyond the link can answer it.</param>
/// <param name="PrefixLength">Bits: who shares the first ones is on the same link.</param>
public readonly record struct InterfaceAddress(int InterfaceIndex, IpAddr Address, bool IsUsable, bool IsLinkLocal, int PrefixLength);
