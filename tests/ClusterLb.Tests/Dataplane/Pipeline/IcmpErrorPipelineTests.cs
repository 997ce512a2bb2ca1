using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class IcmpErrorPipelineTests
{
    private const string Client = "10.244.0.9:41000";
    private const string Frontend = "10.96.0.10:53";
    private const string Backend = "10.244.1.5:5353";

    [Fact]
    public void Port_unreachable_of_the_backend_comes_from_the_frontend()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend).Payload("question"));
        byte[] emitted = lb.Written;

        Assert.Equal(
            $"10.96.0.10 > 10.244.0.9 icmp port unreachable ({Client} > {Frontend} udp) checksums ok",
            lb.Send(Packet.PortUnreachable("10.244.1.5", "10.244.0.9", emitted)));
        Assert.True(lb.Meta.IsReply);
    }

    [Fact]
    public void Packet_too_big_of_a_router_keeps_the_routers_address()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("[fd00:10:96::a]:53/UDP", "[fd00:10:244:1::5]:5353");
        lb.Send(Packet.Udp("[fd00:10:244::9]:41000", "[fd00:10:96::a]:53").Payload(1300));

        Assert.Equal(
            "fd00::99 > fd00:10:244::9 icmp6 packet too big mtu 1280 ([fd00:10:244::9]:41000 > [fd00:10:96::a]:53 udp) checksums ok",
            lb.Send(Packet.PacketTooBig("fd00::99", "fd00:10:244::9", lb.Written, 1280)));
    }

    [Fact]
    public void An_error_about_a_masqueraded_packet_goes_to_the_client()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp("203.0.113.7:41000", Frontend).Payload("question"));

        Assert.Equal(
            $"10.96.0.10 > 203.0.113.7 icmp port unreachable (203.0.113.7:41000 > {Frontend} udp) checksums ok",
            lb.Send(Packet.PortUnreachable("10.244.1.5", "192.168.0.2", lb.Written)));
    }

    [Fact]
    public void An_error_about_a_reply_goes_to_the_backend()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp("203.0.113.7:41000", Frontend));
        string source = $"192.168.0.2:{lb.Meta.Translated.SourcePort}";
        lb.Send(Packet.Udp(Backend, source).Payload(1400));

        Assert.Equal(
            $"198.51.100.1 > 10.244.1.5 icmp fragmentation needed mtu 1300 ({Backend} > {source} udp) checksums ok",
            lb.Send(Packet.PacketTooBig("198.51.100.1", "10.96.0.10", lb.Written, 1300)));
        Assert.False(lb.Meta.IsReply);
    }

    [Fact]
    public void An_error_of_no_known_flow_is_dropped_for_a_service_address_and_else_passed_on()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        byte[] reply = Packet.Udp(Frontend, Client);
        byte[] stranger = Packet.Udp("10.244.0.9:1000", "203.0.113.1:53");

        Assert.Equal("drop: IcmpWithoutFlow", lb.Send(Packet.PortUnreachable("10.244.0.9", "10.96.0.10", reply)));
        Assert.StartsWith("pass: ", lb.Send(Packet.PortUnreachable("203.0.113.1", "10.244.0.9", stranger)));
    }
}
