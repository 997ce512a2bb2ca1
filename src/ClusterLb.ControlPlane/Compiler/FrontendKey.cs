using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Compiler;

/// <summary>What a client dials. Port 0 with protocol ANY is an <see cref="AddressMark"/>'s.</summary>
public readonly record struct FrontendKey(IpAddr Address, ushort Port, IpProtocol Protocol)
{
    /// <summary>No backends, only an address.</summary>
    public bool IsAddressMark => Protocol == IpProtocol.Any;

    /// <summary>Where a node port stands for all addresses of this node: at the address of zeros.</summary>
    public static FrontendKey OfNodePort(ushort port, IpProtocol protocol, bool isIpv4) =>
        new(IpAddr.Unspecified(isIpv4), port, protocol);

    /// <summary><c>10.96.0.10:53/UDP</c>.</summary>
    public override string ToString() => $"{Address.WithPort(Port)}/{Protocol.ToString().ToUpperInvariant()}";
}
