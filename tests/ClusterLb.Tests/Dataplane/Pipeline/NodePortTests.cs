using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Node ports stand in the map once and answer on the node addresses that the networks name (semantics R29, R30).</summary>
public sealed class NodePortTests
{
    private const string Outside = "203.0.113.7:41000";
    private const string Backend = "10.244.1.5:8080";

    [Fact]
    public void A_node_port_answers_on_every_address_that_is_marked_and_on_no_other()
    {
        using PipelineFixture lb = Node().WithNetwork("192.168.1.2/32", NetworkFlags.NodeAddress | NetworkFlags.NodePortAddress)
            .WithNetwork("192.168.2.2/32", NetworkFlags.NodeAddress);

        Assert.Contains($" > {Backend} ", lb.Send(Packet.Tcp(Outside, "192.168.0.2:30080").Syn()));
        Assert.Contains($" > {Backend} ", lb.Send(Packet.Tcp(Outside, "192.168.1.2:30080").Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Outside, "192.168.2.2:30080").Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Outside, "192.168.0.3:30080").Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Outside, "192.168.0.2:30081").Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Udp(Outside, "192.168.0.2:30080")));
    }

    [Fact]
    public void An_answer_comes_from_the_address_that_was_dialled()
    {
        using PipelineFixture lb = Node();
        lb.Send(Packet.Tcp(Outside, "192.168.0.2:30080").Syn());

        Assert.StartsWith(
            $"192.168.0.2:30080 > {Outside} ",
            lb.Send(Packet.Tcp(Backend, $"192.168.0.2:{lb.Meta.Translated.SourcePort}").SynAck()));
    }

    [Fact]
    public void The_address_of_zeros_itself_is_no_frontend()
    {
        using PipelineFixture lb = Node();

        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Outside, "0.0.0.0:30080").Syn()));
    }

    [Theory]
    [InlineData("127.0.0.1", true, true)]
    [InlineData("127.0.0.1", false, false)]
    [InlineData("[::1]", true, false)]
    public void Loopback_answers_in_IPv4_alone_and_if_it_is_on(string address, bool isOn, bool answers)
    {
        using PipelineFixture lb = Node().WithService("[fd00:192::2]:30080/TCP", ServiceFlags.NodePort, "[fd00:10:244::5]:8080")
            .WithNode(node => node with { Flags = NodeFlags.Synced | (isOn ? NodeFlags.LocalhostNodePorts : NodeFlags.None) });

        lb.Send(Packet.Tcp($"{address}:41000", $"{address}:30080").Syn());

        Assert.Equal(answers ? Verdict.Forward : Verdict.Pass, lb.Verdict);
        Assert.Equal(answers, lb.Meta.Masqueraded);
    }

    [Fact]
    public void A_frontend_at_the_nodes_own_address_goes_before_a_node_port_of_that_number()
    {
        using PipelineFixture lb = Node().WithService("192.168.0.2:30080/TCP", ServiceFlags.ExternalIp, "10.244.1.6:9090");

        Assert.Contains(" > 10.244.1.6:9090 ", lb.Send(Packet.Tcp(Outside, "192.168.0.2:30080").Syn()));
    }

    private static PipelineFixture Node() => new PipelineFixture().WithService("192.168.0.2:30080/TCP", ServiceFlags.NodePort, Backend);
}
