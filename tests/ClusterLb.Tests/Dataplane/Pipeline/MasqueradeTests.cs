using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Rules R20, R22 to R24, and source ports.</summary>
public sealed class MasqueradeTests
{
    private const string Pod = "10.244.0.9:41000";
    private const string Node = "192.168.0.2:41000";
    private const string Outside = "203.0.113.7:41000";
    private const string Backend = "10.244.1.5:8080";
    private const string ClusterIp = "10.96.0.10:80";
    private const string NodePort = "192.168.0.2:30080";

    public static TheoryData<string, string, ServiceFlags, NodeFlags, string, bool> Rules => new()
    {
        { "R22: a pod to a ClusterIP keeps its address", ClusterIp, ServiceFlags.None, NodeFlags.Synced, Pod, false },
        { "R22: this node to a ClusterIP is masqueraded", ClusterIp, ServiceFlags.None, NodeFlags.Synced, Node, true },
        { "R22: the outside to a ClusterIP is masqueraded", ClusterIp, ServiceFlags.None, NodeFlags.Synced, Outside, true },
        { "R22: without a detector nobody is", ClusterIp, ServiceFlags.None, NodeFlags.Synced | NodeFlags.NoLocalDetection, Outside, false },
        { "R22: masquerade all", ClusterIp, ServiceFlags.None, NodeFlags.Synced | NodeFlags.MasqueradeAll, Pod, true },
        {
            "R22: masquerade all, without a detector", ClusterIp, ServiceFlags.None,
            NodeFlags.Synced | NodeFlags.MasqueradeAll | NodeFlags.NoLocalDetection, Pod, true
        },
        { "R23: external with policy Cluster always", NodePort, ServiceFlags.NodePort, NodeFlags.Synced, Outside, true },
        { "R23: pods too", NodePort, ServiceFlags.NodePort, NodeFlags.Synced, Pod, true },
        { "R20a: policy Local, a pod", NodePort, ServiceFlags.NodePort | ServiceFlags.ExternalLocalScope, NodeFlags.Synced, Pod, false },
        { "R20b: policy Local, this node", NodePort, ServiceFlags.NodePort | ServiceFlags.ExternalLocalScope, NodeFlags.Synced, Node, true },
        { "R20c: policy Local, outside", NodePort, ServiceFlags.NodePort | ServiceFlags.ExternalLocalScope, NodeFlags.Synced, Outside, false },
    };

    [Theory]
    [InlineData("10.244.1.9:20000", "10.244.1.5:8080", "192.168.0.2:20000 > 10.244.1.5:8080")] // neighbours
    [InlineData("10.244.1.9:20000", "10.244.2.5:8080", "10.244.1.9:20000 > 10.244.2.5:8080")]
    [InlineData("10.244.2.9:20000", "10.244.1.5:8080", "10.244.2.9:20000 > 10.244.1.5:8080")]
    public void Between_pods_of_a_bridge_that_answer_past_us_everything_is_masqueraded(string client, string backend, string sent)
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", backend);
        lb.WithNetwork("10.244.1.0/24", NetworkFlags.BridgedPods);

        Assert.StartsWith(sent, lb.Send(Packet.Tcp(client, "10.96.0.10:80").Syn()), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Rules))]
    public void Masquerades(string because, string frontend, ServiceFlags flags, NodeFlags node, string client, bool expected)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/TCP", flags, Backend)
            .WithNode(n => n with { Flags = node });

        string line = lb.Send(Packet.Tcp(client, frontend).Syn());

        Assert.True(lb.Meta.Masqueraded == expected, because);
        Assert.True(line.StartsWith(expected ? "192.168.0.2:" : $"{client} >"), $"{because}: {line}");
        Assert.EndsWith($"> {Backend} tcp [S] checksums ok", line);
    }

    [Fact]
    public void A_masqueraded_flow_is_translated_back_to_its_client()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{ClusterIp}/UDP", Backend);
        lb.Send(Packet.Udp(Outside, ClusterIp));
        string source = $"192.168.0.2:{lb.Meta.Translated.SourcePort}";

        Assert.Equal($"{ClusterIp} > {Outside} udp 6 bytes checksums ok", lb.Send(Packet.Udp(Backend, source).Payload("answer")));
        Assert.True(lb.Meta.Masqueraded);
    }

    [Fact]
    public void Hairpin_goes_out_with_the_nodes_address()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{ClusterIp}/TCP", Backend);
        string line = lb.Send(Packet.Tcp("10.244.1.5:41000", ClusterIp).Syn());

        Assert.StartsWith("192.168.0.2:", line);
        Assert.True(lb.Meta.Masqueraded);
        string source = $"192.168.0.2:{lb.Meta.Translated.SourcePort}";
        Assert.Equal($"{ClusterIp} > 10.244.1.5:41000 tcp [S.] checksums ok", lb.Send(Packet.Tcp(Backend, source).SynAck()));
    }

    [Fact]
    public void Hairpin_over_IPv6()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("[fd00:10:96::a]:80/TCP", "[fd00:10:244:1::5]:8080");

        Assert.StartsWith("[fd00:192::2]:", lb.Send(Packet.Tcp("[fd00:10:244:1::5]:41000", "[fd00:10:96::a]:80").Syn()));
    }

    [Fact]
    public void From_the_masquerade_address_itself_address_and_port_stay()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{ClusterIp}/TCP", Backend);

        Assert.Equal($"{Node} > {Backend} tcp [S] checksums ok", lb.Send(Packet.Tcp(Node, ClusterIp).Syn()));
        Assert.True(lb.Meta.Masqueraded);
    }

    [Fact]
    public void A_safe_port_is_kept_and_an_ephemeral_one_is_not()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{ClusterIp}/TCP", Backend);

        Assert.StartsWith("192.168.0.2:62000 >", lb.Send(Packet.Tcp("203.0.113.7:62000", ClusterIp).Syn()));
        lb.Send(Packet.Tcp("203.0.113.7:41000", ClusterIp).Syn());
        Assert.InRange(lb.Meta.Translated.SourcePort, 61_000, 65_535);
    }

    [Fact]
    public void A_node_without_an_address_of_the_family_cannot_masquerade()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{ClusterIp}/TCP", Backend)
            .WithNode(node => node with { PrimaryIpv4 = default });

        Assert.Equal("drop: NoMasqueradeAddress", lb.Send(Packet.Tcp(Outside, ClusterIp).Syn()));
        Assert.Contains($"{Pod} > {Backend}", lb.Send(Packet.Tcp(Pod, ClusterIp).Syn()));
    }

    [Fact]
    public void Two_frontends_with_one_backend_dialled_from_one_port_do_not_share_answers()
    {
        using PipelineFixture lb = new PipelineFixture()
            .WithService("10.96.0.10:80/TCP", Backend).WithService("10.96.0.11:80/TCP", Backend);
        Assert.Equal($"{Pod} > {Backend} tcp [S] checksums ok", lb.Send(Packet.Tcp(Pod, "10.96.0.10:80").Syn()));

        lb.Send(Packet.Tcp(Pod, "10.96.0.11:80").Syn());
        ushort port = lb.Meta.Translated.SourcePort;

        Assert.NotEqual(41000, port);
        Assert.False(lb.Meta.Masqueraded);
        Assert.Equal("10.244.0.9", lb.Meta.Translated.Source.ToString());
        Assert.StartsWith($"10.96.0.10:80 > {Pod} ", lb.Send(Packet.Tcp(Backend, Pod).SynAck()));
        Assert.StartsWith($"10.96.0.11:80 > {Pod} ", lb.Send(Packet.Tcp(Backend, $"10.244.0.9:{port}").SynAck()));
    }

    [Fact]
    public void A_flow_that_is_closing_gives_way_and_the_port_is_kept()
    {
        using PipelineFixture lb = new PipelineFixture()
            .WithService("10.96.0.10:80/TCP", Backend).WithService("10.96.0.11:80/TCP", Backend);
        lb.Send(Packet.Tcp(Pod, "10.96.0.10:80").Syn());
        lb.Send(Packet.Tcp(Backend, Pod).Rst());

        Assert.Equal($"{Pod} > {Backend} tcp [S] checksums ok", lb.Send(Packet.Tcp(Pod, "10.96.0.11:80").Syn()));
        Assert.StartsWith($"10.96.0.11:80 > {Pod} ", lb.Send(Packet.Tcp(Backend, Pod).SynAck()));
        Assert.Equal(1, lb.Flows.Count);
    }

    [Fact]
    public void Sources_inside_of_the_cluster_use_the_internal_scope()
    {
        using var lb = new PipelineFixture();
        ServiceFlags flags = ServiceFlags.NodePort | ServiceFlags.ExternalLocalScope | ServiceFlags.TwoScopes | ServiceFlags.EndpointsExist;
        lb.WithScope($"{NodePort}/TCP", LookupScope.External, flags);
        lb.WithScope($"{NodePort}/TCP", LookupScope.Internal, flags, Backend);

        Assert.Equal("drop: NoLocalBackend", lb.Send(Packet.Tcp(Outside, NodePort).Syn()));
        Assert.Equal($"{Pod} > {Backend} tcp [S] checksums ok", lb.Send(Packet.Tcp(Pod, NodePort).Syn()));
        Assert.Equal($"{Node} > {Backend} tcp [S] checksums ok", lb.Send(Packet.Tcp(Node, NodePort).Syn()));
        Assert.True(lb.Meta.Masqueraded);
    }
}
