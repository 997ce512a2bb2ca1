using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class EchoReplyTests
{
    [Theory]
    [InlineData("10.244.0.9", "10.96.0.10")]
    [InlineData("203.0.113.7", "10.96.0.10")]
    [InlineData("fd00:10:244::9", "fd00:10:96::a")]
    public void A_ping_of_a_service_address_is_answered_by_it(string client, string service)
    {
        using PipelineFixture lb = Answering();

        lb.Send(Packet.Echo(client, service, 77, 5).Payload("data of the sender").Ttl(3));

        Assert.Equal(Verdict.Forward, lb.Verdict);
        Assert.Equal(Packet.EchoReply(service, client, 77, 5).Payload("data of the sender").Ttl(64).ToBytes(), lb.Written);
        Assert.Equal((0, 1UL), (lb.Flows.Count, lb.Counters.AnsweredPings));
    }

    [Theory]
    [InlineData("10.244.0.9", "10.96.0.10")]
    [InlineData("fd00:10:244::9", "fd00:10:96::a")]
    public void A_ping_in_parts_is_answered_in_parts(string client, string service)
    {
        using PipelineFixture lb = Answering();
        var answer = new List<byte[]>();
        foreach (byte[] fragment in Packet.Echo(client, service).Payload(9000).Fragments(1480))
        {
            string line = lb.Send(fragment);
            Assert.True(lb.Verdict == Verdict.Forward, line);
            answer.Add(lb.Written);
        }

        Assert.Equal(Packet.EchoReply(service, client).Payload(9000).Ttl(64).ToBytes(), Reassembly.Of(answer));
    }

    [Theory]
    [InlineData("10.96.0.77", DropReason.UnknownServiceAddress)] // of the range, but nobody's
    [InlineData("fd00:10:96::77", DropReason.UnknownServiceAddress)]
    public void A_ping_of_an_unknown_service_address_is_not_answered(string destination, DropReason reason)
    {
        using PipelineFixture lb = Answering();

        lb.Send(Packet.Echo(destination.Contains(':', StringComparison.Ordinal) ? "fd00:10:244::9" : "10.244.0.9", destination));

        Assert.Equal((Verdict.Drop, reason), (lb.Verdict, lb.Meta.DropReason));
    }

    [Theory]
    [InlineData("203.0.113.7", "198.51.100.1")]
    [InlineData("10.244.0.9", "198.51.100.1")]
    [InlineData("2001:db8::7", "2001:db8:51::1")]
    public void A_ping_of_a_load_balancers_address_is_answered_by_it_whole_or_in_parts(string client, string address)
    {
        using PipelineFixture lb = Answering().WithAddressMark(address, ServiceFlags.LoadBalancer);

        lb.Send(Packet.Echo(client, address, 77, 5).Payload("data of the sender").Ttl(3));
        Assert.Equal(Packet.EchoReply(address, client, 77, 5).Payload("data of the sender").Ttl(64).ToBytes(), lb.Written);

        byte[][] parts = [.. Packet.Echo(client, address).Payload(5000).Fragments(1480).Select(fragment =>
        {
            lb.Send(fragment);
            return lb.Written;
        })];
        Assert.Equal(Packet.EchoReply(address, client).Payload(5000).Ttl(64).ToBytes(), Reassembly.Of(parts));
    }

    [Fact]
    public void A_load_balancers_address_answers_nothing_but_pings_and_only_if_it_is_not_this_nodes()
    {
        using PipelineFixture lb = Answering().WithAddressMark("198.51.100.1", ServiceFlags.LoadBalancer).WithAddressMark("192.168.0.2", ServiceFlags.LoadBalancer);

        Assert.StartsWith("pass: ", lb.Send(Packet.Echo("203.0.113.7", "192.168.0.2")), StringComparison.Ordinal); // the kernel answers
        Assert.StartsWith("pass: ", lb.Send(Packet.Echo("203.0.113.7", "198.51.100.2")), StringComparison.Ordinal);
        Assert.StartsWith("pass: ", lb.Send(Packet.EchoReply("203.0.113.7", "198.51.100.1")), StringComparison.Ordinal);
        Assert.StartsWith("pass: ", lb.Send(Packet.Icmp("203.0.113.7", "198.51.100.1", 13, 13, 0, 0)), StringComparison.Ordinal);
        Assert.Equal("drop: IcmpFragment", lb.Send(Packet.EchoReply("203.0.113.7", "198.51.100.1").Payload(3000).Fragments(1480)[0]));
        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(Packet.EchoReply("203.0.113.7", "198.51.100.1").Payload(3000).Fragments(1480)[1]));
        Assert.Equal("drop: NotRoutable", lb.Send(Packet.Echo("10.96.0.11", "198.51.100.1"))); // a forged source
        Assert.Equal(0UL, lb.Counters.AnsweredPings);
    }

    [Fact]
    public void Who_may_not_use_a_load_balancers_address_gets_no_answer_to_a_ping_either()
    {
        const string Frontend = "198.51.100.1:80/TCP";
        using PipelineFixture lb = Answering()
            .WithService(Frontend, ServiceFlags.LoadBalancer | ServiceFlags.SourceRange, "10.244.1.5:8080").WithSourceRange(Frontend, "203.0.113.0/29")
            .WithAddressMark("198.51.100.1", ServiceFlags.LoadBalancer | ServiceFlags.SourceRange, Frontend);

        Assert.Equal("drop: NotInSourceRange", lb.Send(Packet.Echo("203.0.113.77", "198.51.100.1")));
        lb.Send(Packet.Echo("203.0.113.7", "198.51.100.1"));
        Assert.Equal(Verdict.Forward, lb.Verdict);
    }

    [Fact]
    public void Others_are_left_alone()
    {
        using PipelineFixture lb = Answering();

        Assert.StartsWith("pass: ", lb.Send(Packet.Echo("10.244.0.9", "203.0.113.1")), StringComparison.Ordinal);
        Assert.Equal("drop: UnknownProtocol", lb.Send(Packet.EchoReply("10.244.0.9", "10.96.0.10"))); // no answer to an answer
        Assert.Equal("drop: UnknownProtocol", lb.Send(Packet.Echo("255.255.255.255", "10.96.0.10"))); // nor to all at once
        Assert.Equal("drop: NotRoutable", lb.Send(Packet.Echo("10.96.0.11", "10.96.0.10"))); // a forged source: services ask nobody
        Assert.Equal("drop: UnknownProtocol", lb.Send(Packet.Icmp("10.244.0.9", "10.96.0.10", 13, 13, 0, 0)));
    }

    [Fact]
    public void Before_the_first_sync_nobody_knows()
    {
        using PipelineFixture lb = Answering().WithNode(node => node with { Flags = NodeFlags.EchoReply });

        Assert.Equal("drop: NotSynced", lb.Send(Packet.Echo("10.244.0.9", "10.96.0.10")));
    }

    [Fact]
    public void It_is_off_unless_asked_for()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:53/UDP", "10.244.1.5:5353");

        Assert.Equal("drop: UnknownProtocol", lb.Send(Packet.Echo("10.244.0.9", "10.96.0.10")));
        Assert.False(NodeImage.Compile(new NetworkInputs(), null).Node.Flags.HasFlag(NodeFlags.EchoReply));
        Assert.True(NodeImage.Compile(new NetworkInputs { AnswersPing = true }, null).Node.Flags.HasFlag(NodeFlags.EchoReply));
    }

    private static PipelineFixture Answering() => new PipelineFixture()
        .WithService("10.96.0.10:53/UDP", "10.244.1.5:5353").WithService("[fd00:10:96::a]:53/UDP", "[fd00:10:244:1::5]:5353")
        .WithNode(node => node with { Flags = node.Flags | NodeFlags.EchoReply });
}
