using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Packets;

public sealed class PacketParserTests
{
    public static TheoryData<PacketBuilder, string> Tuples => new()
    {
        { Packet.Tcp("10.0.0.9:41000", "10.96.0.10:80").Syn(), "TCP 10.0.0.9:41000 -> 10.96.0.10:80" },
        { Packet.Udp("10.0.0.9:41000", "10.96.0.10:53").Payload("hello"), "UDP 10.0.0.9:41000 -> 10.96.0.10:53" },
        { Packet.Sctp("10.0.0.9:41000", "10.96.0.10:99").Payload(16), "SCTP 10.0.0.9:41000 -> 10.96.0.10:99" },
        { Packet.Echo("10.0.0.9", "10.96.0.10", 7), "ICMP 10.0.0.9:7 -> 10.96.0.10:7" },
        { Packet.Tcp("[fd00::9]:41000", "[fd96::a]:80").Syn(), "TCP [fd00::9]:41000 -> [fd96::a]:80" },
        { Packet.Udp("[fd00::9]:41000", "[fd96::a]:53").Payload("hello"), "UDP [fd00::9]:41000 -> [fd96::a]:53" },
        { Packet.Sctp("[fd00::9]:41000", "[fd96::a]:99").Payload(16), "SCTP [fd00::9]:41000 -> [fd96::a]:99" },
        { Packet.EchoReply("fd00::9", "fd96::a", 7), "ICMPV6 [fd00::9]:7 -> [fd96::a]:7" },
        { Packet.Tcp("10.0.0.9:1", "10.96.0.10:2").IpOptions("94040000 01 01"), "TCP 10.0.0.9:1 -> 10.96.0.10:2" },
        {
            Packet.Udp("[fd00::9]:1", "[fd96::a]:2").HopByHop(16).DestinationOptions().Routing().FragmentHeader().DestinationOptions(),
            "UDP [fd00::9]:1 -> [fd96::a]:2"
        },
    };

    [Theory, MemberData(nameof(Tuples))]
    public void Tuple_is_read(PacketBuilder packet, string tuple)
    {
        Assert.Equal(DropReason.None, PacketParser.Parse(packet.ToBytes(), out FlowTuple read, out HeaderOffsets at));
        Assert.Equal(tuple, read.ToString());
        Assert.Equal(read.Protocol, at.Protocol);
        Assert.Equal(packet.ToBytes().Length, at.TotalLength);
        Assert.False(at.IsFragment);
    }
}
