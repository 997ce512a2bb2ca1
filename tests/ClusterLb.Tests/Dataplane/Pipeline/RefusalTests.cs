using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class RefusalTests
{
    private const string Client = "10.244.0.9:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";

    [Fact]
    public void A_service_without_endpoints_refuses_TCP_with_a_reset()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP");

        Assert.Equal($"reject: {Frontend} > {Client} tcp [R.] checksums ok", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.Equal(DropReason.NoBackend, lb.Meta.DropReason);
        Assert.Equal(1UL, lb.Counters.Drops(DropReason.NoBackend));
        Assert.Equal(1UL, lb.Counters.Packets(Verdict.Reject));
        Assert.Equal(0, lb.Flows.Count);
    }

    [Theory]
    [InlineData("10.244.0.9:41000", "10.96.0.10:53", "icmp")]
    [InlineData("[fd00:10:244::9]:41000", "[fd00:10:96::a]:53", "icmp6")]
    public void A_service_without_endpoints_refuses_UDP_with_port_unreachable(string client, string frontend, string icmp)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/UDP");
        string from = PacketBuilder.ParseEndpoint(frontend).Address.ToString();
        string to = PacketBuilder.ParseEndpoint(client).Address.ToString();

        Assert.Equal(
            $"reject: {from} > {to} {icmp} port unreachable ({client} > {frontend} udp) checksums ok",
            lb.Send(Packet.Udp(client, frontend).Payload("question")));
    }

    [Fact]
    public void Usable_endpoints_elsewhere_but_none_here_is_a_silent_drop()
    {
        using var lb = new PipelineFixture();
        lb.WithScope($"{Frontend}/TCP", LookupScope.External, ServiceFlags.InternalLocalScope | ServiceFlags.EndpointsExist);

        Assert.Equal("drop: NoLocalBackend", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
    }

    [Theory]
    [InlineData("10.96.0.11:80", "10.96.0.10:80")]
    [InlineData("10.96.0.11:80", "10.96.0.10:81")]
    [InlineData("[fd00:10:96::b]:80", "[fd00:10:96::a]:80")]
    public void Whoever_claims_a_service_address_gets_no_backend_and_no_answer(string forged, string destination)
    {
        using PipelineFixture lb = new PipelineFixture()
            .WithService("10.96.0.10:80/TCP", Backend).WithService("[fd00:10:96::a]:80/TCP", "[fd00:10:244::5]:8080");

        Assert.Equal("drop: NotRoutable", lb.Send(Packet.Tcp(forged, destination).Syn()));
        Assert.Equal(0, lb.Flows.Count);
    }

    [Fact]
    public void An_unowned_port_of_an_active_address_is_rejected_and_an_unknown_address_dropped()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);

        Assert.StartsWith("reject: 10.96.0.10:81 > ", lb.Send(Packet.Tcp(Client, "10.96.0.10:81").Syn()));
        Assert.Equal(DropReason.UnknownServicePort, lb.Meta.DropReason);
        Assert.StartsWith("reject: ", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.Equal("drop: UnknownServiceAddress", lb.Send(Packet.Tcp(Client, "10.96.0.11:80").Syn()));
        Assert.Equal("drop: UnknownProtocol", lb.Send(Packet.Echo("10.244.0.9", "10.96.0.10")));
    }

    [Fact]
    public void Before_the_first_sync_a_miss_is_dropped_never_rejected_and_what_was_adopted_is_served()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend)
            .WithNode(node => node with { Flags = NodeFlags.None });

        Assert.Equal("drop: NotSynced", lb.Send(Packet.Tcp(Client, "10.96.0.10:81").Syn()));
        Assert.Equal("drop: NotSynced", lb.Send(Packet.Tcp(Client, "10.96.0.11:80").Syn()));
        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Client, "203.0.113.1:80").Syn()));
    }

    [Theory]
    [InlineData("10.244.0.9:41000", "169.254.0.1:80")]
    [InlineData("10.244.0.9:41000", "224.0.0.251:5353")]
    [InlineData("10.244.0.9:41000", "255.255.255.255:67")]
    [InlineData("[fd00:10:244::9]:41000", "[fe80::1]:80")]
    [InlineData("[fd00:10:244::9]:41000", "[ff02::fb]:5353")]
    public void Link_local_and_multicast_are_dropped(string from, string to)
    {
        using var lb = new PipelineFixture();

        Assert.Equal("drop: NotRoutable", lb.Send(Packet.Udp(from, to)));
    }

    [Fact]
    public void A_segment_of_a_forgotten_connection_is_answered_by_a_reset()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);

        Assert.Equal($"reject: {Frontend} > {Client} tcp [R] checksums ok", lb.Send(Packet.Tcp(Client, Frontend).Push("late")));
        Assert.Equal(DropReason.NotASyn, lb.Meta.DropReason);
        Assert.Equal("drop: NotASyn", lb.Send(Packet.Tcp(Client, Frontend).Rst()));
        Assert.Equal(0, lb.Flows.Count);
    }

    [Fact]
    public void Such_a_segment_is_dropped_if_the_configuration_says_so()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend)
            .WithNode(node => node with { Flags = node.Flags | NodeFlags.DropMidStream });

        Assert.Equal("drop: NotASyn", lb.Send(Packet.Tcp(Client, Frontend).Push("late")));
    }

    [Theory]
    [InlineData(SelectionAlgorithm.Maglev)]
    [InlineData(SelectionAlgorithm.SourceHash)]
    [InlineData(SelectionAlgorithm.DestinationHash)]
    public void Where_a_hash_chooses_a_forgotten_connection_goes_on_to_its_backend(SelectionAlgorithm algorithm)
    {
        string[] backends = [.. Enumerable.Range(1, 50).Select(n => $"10.244.1.{n}:8080")];
        using PipelineFixture lb = new PipelineFixture { Algorithm = algorithm }.WithService($"{Frontend}/TCP", backends);
        for (int port = 1; port <= 100; port++)
        {
            string client = $"10.244.0.9:{port}";
            lb.Send(Packet.Tcp(client, Frontend).Syn());
            string backend = lb.Meta.Translated.Destination.WithPort(lb.Meta.Translated.DestinationPort);
            lb.Flows.Flush(FlowFilter.All, lb.NowMs);

            Assert.Equal("drop: NotASyn", lb.Send(Packet.Tcp(client, Frontend).Rst()));
            Assert.StartsWith($"reject: {Frontend} > {client} tcp [R", lb.Send(Packet.Tcp(client, Frontend).SynAck()), StringComparison.Ordinal);
            Assert.StartsWith($"{client} > {backend} ", lb.Send(Packet.Tcp(client, Frontend).Push("on")), StringComparison.Ordinal);
            Assert.StartsWith($"{Frontend} > {client} ", lb.Send(Packet.Tcp(backend, client).Push("and on")), StringComparison.Ordinal);
            Assert.Equal("SYN_RECV", Assert.Single(lb.List()).State); // established with the client's next
            lb.Flows.Flush(FlowFilter.All, lb.NowMs);
        }
    }

    [Fact]
    public void A_reply_whose_flow_is_gone_is_dropped_and_a_connection_of_the_backends_own_is_not()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend).WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.Send(Packet.Udp(Client, Frontend));
        lb.Flows.Flush(ClusterLb.Dataplane.Conntrack.FlowFilter.All, lb.NowMs);

        Assert.Equal("drop: UntranslatableReply", lb.Send(Packet.Tcp(Backend, Client).SynAck()));
        Assert.Equal("drop: UntranslatableReply", lb.Send(Packet.Udp(Backend, Client)));
        Assert.StartsWith("pass: ", lb.Send(Packet.Tcp(Backend, "203.0.113.9:443").Syn()));
        Assert.StartsWith("pass: ", lb.Send(Packet.Udp("10.244.1.6:8080", Client)));
    }

    [Fact]
    public void Port_unreachable_is_limited_in_rate_and_a_reset_is_not()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP").WithService($"{Frontend}/TCP");
        int answered = Enumerable.Range(0, 2_000).Count(_ => lb.Send(Packet.Udp(Client, Frontend)).StartsWith("reject"));

        Assert.Equal(256, answered);
        Assert.Equal(2_000UL - 256, lb.Counters.Drops(DropReason.RejectRateLimited));
        Assert.StartsWith("reject", lb.Send(Packet.Tcp(Client, Frontend).Syn()));

        lb.Later(TimeSpan.FromMilliseconds(10));
        Assert.Equal(10, Enumerable.Range(0, 100).Count(_ => lb.Send(Packet.Udp(Client, Frontend)).StartsWith("reject")));
    }

    [Fact]
    public void Malformed_packets_are_dropped_with_their_reason()
    {
        using var lb = new PipelineFixture();
        byte[] packet = Packet.Tcp(Client, Frontend).Syn();

        Assert.Equal("drop: Truncated", lb.Send(packet[..30]));
        packet[10] ^= 1;
        Assert.Equal("drop: BadChecksum", lb.Send(packet));
        Assert.Equal(1UL, lb.Counters.Drops(DropReason.BadChecksum));
    }

    [Fact]
    public void Maps_that_change_under_every_look_give_up_and_say_so()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        var (address, port, protocol) = PipelineFixture.ParseFrontend($"{Frontend}/TCP");
        lb.Maps.Services.Delete(new ServiceKey(address, port, protocol, LookupScope.External, 1));

        Assert.Equal("drop: MapsInMotion", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
    }

    [Theory]
    [InlineData(ServiceFlags.None, "reject: ")]
    [InlineData(ServiceFlags.EndpointsExist, "drop: NoLocalBackend")]
    public void A_last_backend_that_goes_during_the_choice_is_answered_by_what_is_left(ServiceFlags left, string expected)
    {
        var random = new ActingRandomSource();
        using var lb = new PipelineFixture(random: random);
        lb.WithService($"{Frontend}/TCP", Backend);
        random.BeforeNext = () => lb.WithScope($"{Frontend}/TCP", LookupScope.External, left);

        Assert.StartsWith(expected, lb.Send(Packet.Tcp(Client, Frontend).Syn()));
    }

    /// <summary>Does something between two readings of the maps.</summary>
    private sealed class ActingRandomSource : RandomSource
    {
        public Action? BeforeNext { get; set; }

        public override uint Next()
        {
            BeforeNext?.Invoke();
            return 0;
        }
    }
}
