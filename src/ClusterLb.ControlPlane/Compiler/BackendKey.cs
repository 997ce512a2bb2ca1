using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What makes a backend: two services that name the same address, port and protocol share it and its id.</summary>
public readonly record struct BackendKey(IpAddr Address, ushort Port, IpProtocol Protocol);
