using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Dataplane.Conntrack;

/// <summary>Flows for tests of the table alone.</summary>
internal static class FlowTuples
{
    public static FlowTuple Original(uint client, ushort port = 41000, IpProtocol protocol = IpProtocol.Tcp, bool ipv6 = false) =>
        new(Address(0x0AF4_0000 + client, ipv6), Address(0x0A60_000A, ipv6), port, 80, protocol);

    public static NewFlow New(FlowTuple original, uint backend = 1, long expiresMs = 60_000) => new()
    {
        Original = original,
        Reply = new FlowTuple(
            Address(0x0A01_0000 + backend, !original.IsIpv4), original.Source, 8080, original.SourcePort, original.Protocol),
        BackendId = backend,
        RevNatId = 7,
        ServicePortId = 9,
        Revision = 11,
        Queue = 3,
        ExpiresMs = expiresMs,
    };

    public static IpAddr Address(uint number, bool ipv6) =>
        ipv6 ? IpAddr.FromIpv6(0xFD00_0010_0244_0000, number) : IpAddr.FromIpv4(number);
}
