using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>States, timeouts, and when a flow may change its backend.</summary>
public sealed class FlowLifeTests
{
    private const string Client = "10.244.0.9:41000";
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";
    private const string Other = "10.244.1.6:8080";

    [Fact]
    public void A_TCP_connection_goes_through_its_states_with_their_timeouts()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);

        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        AssertFlow(lb, "SYN_SENT", 60);
        lb.Send(Packet.Tcp(Backend, Client).SynAck());
        AssertFlow(lb, "SYN_RECV", 60);
        lb.Send(Packet.Tcp(Client, Frontend).Ack());
        AssertFlow(lb, "ESTABLISHED", 86_400);
        lb.Send(Packet.Tcp(Client, Frontend).Fin());
        AssertFlow(lb, "FIN_WAIT", 3_600);
        lb.Send(Packet.Tcp(Backend, Client).Fin());
        AssertFlow(lb, "TIME_WAIT", 10);
    }

    [Fact]
    public void A_reset_of_either_side_ends_a_connection_soon()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        lb.Send(Packet.Tcp(Backend, Client).Rst());
        AssertFlow(lb, "CLOSE", 10);

        lb.Later(TimeSpan.FromSeconds(5)).Send(Packet.Tcp(Client, Frontend).Push("still alive"));
        AssertFlow(lb, "CLOSE", 10);
        lb.Later(TimeSpan.FromSeconds(10));
        Assert.Equal($"reject: {Frontend} > {Client} tcp [R] checksums ok", lb.Send(Packet.Tcp(Client, Frontend).Ack()));
    }

    [Fact]
    public void Forged_segments_of_a_client_that_sees_no_answer_never_establish_a_flow()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.Send(Packet.Tcp(Client, Frontend).Ack());
        AssertFlow(lb, "SYN_SENT", 60);
    }

    [Fact]
    public void Liberal_on_windows_any_sequence_number_is_translated()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Push("x").Numbers(0xDEAD0000, 7)));
        Assert.StartsWith(Frontend, lb.Send(Packet.Tcp(Backend, Client).Push("y").Numbers(1, 0xBEEF0000)));
    }

    [Fact]
    public void A_SYN_on_a_closing_flow_begins_a_new_one_and_a_repeated_SYN_does_not()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.WithService($"{Frontend}/TCP", Other);
        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.False(lb.Meta.NewFlow);

        lb.Send(Packet.Tcp(Backend, Client).Rst());
        Assert.Contains($"> {Other}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.True(lb.Meta.NewFlow);
        AssertFlow(lb, "SYN_SENT", 60);
    }

    [Fact]
    public void UDP_lives_longer_once_it_is_answered()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));
        AssertFlow(lb, "UNREPLIED", 30);
        lb.Send(Packet.Udp(Backend, Client));
        AssertFlow(lb, "ASSURED", 180);
    }

    [Fact]
    public void An_expired_flow_is_not_found_even_before_it_is_swept()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));
        lb.WithService($"{Frontend}/UDP", Other).Later(TimeSpan.FromSeconds(30));

        Assert.Contains($"> {Other}", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.Equal(1, lb.Flows.Count);
    }

    [Fact]
    public void The_next_datagram_leaves_a_backend_that_stopped_serving()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Queue = 2;
        lb.Send(Packet.Udp(Client, Frontend));
        lb.WithService($"{Frontend}/UDP", Other).WithoutServing($"{Frontend}/UDP", Backend);
        lb.Queue = 0;

        Assert.Contains($"> {Other}", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.Equal(2, lb.Meta.Queue);
        Assert.Equal(1UL, lb.Counters.RepickedFlows);
        Assert.Equal(1, lb.Flows.Count);
    }

    [Fact]
    public void With_no_endpoint_left_the_next_datagram_is_refused()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));
        lb.WithService($"{Frontend}/UDP").WithoutServing($"{Frontend}/UDP", Backend);

        Assert.StartsWith("reject: ", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.Equal(0, lb.Flows.Count);
    }

    [Fact]
    public void With_the_service_gone_the_next_datagram_is_dropped_or_refused()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));
        uint servicePort = lb.Meta.ServicePortId;
        lb.WithoutService($"{Frontend}/UDP").WithoutServing($"{Frontend}/UDP", Backend);
        lb.Maps.ServicePorts.Delete(servicePort);

        Assert.StartsWith("reject: ", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.Equal(DropReason.UnknownServicePort, lb.Meta.DropReason);
    }

    [Fact]
    public void A_datagram_stays_with_a_backend_that_is_no_longer_chosen_but_still_serves()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend, "10.244.1.7:8080");
        var random = (ScriptedRandomSource)lb.Random;
        random.Choose(0, 2);
        lb.Send(Packet.Udp(Client, Frontend));
        lb.WithService($"{Frontend}/UDP", Other).WithoutServing($"{Frontend}/UDP", "10.244.1.7:8080"); // the revision rises

        ulong before = Assert.Single(lb.List()).Revision;
        Assert.Contains($"> {Backend}", lb.Send(Packet.Udp(Client, Frontend)));
        Assert.True(Assert.Single(lb.List()).Revision > before);
        Assert.Equal(0UL, lb.Counters.RepickedFlows);
    }

    [Theory]
    [InlineData(Client, Frontend, Backend, Other)]
    [InlineData("[fd00:10:244::9]:41000", "[fd00:10:96::a]:53", "[fd00:10:244:1::5]:5353", "[fd00:10:244:1::6]:5353")]
    public void A_datagram_after_port_unreachable_finds_a_backend_anew(string client, string frontend, string backend, string other)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/UDP", backend);
        lb.Send(Packet.Udp(client, frontend));
        byte[] emitted = lb.Written;
        lb.WithService($"{frontend}/UDP", other); // the old one serves on, as far as the slices know

        Assert.Contains($"> {backend}", lb.Send(Packet.Udp(client, frontend)));
        Assert.Contains("port unreachable", lb.Send(Packet.PortUnreachable(AddressOf(backend), AddressOf(client), emitted)));
        Assert.Contains($"> {other}", lb.Send(Packet.Udp(client, frontend)));
        Assert.Equal(1, lb.Flows.Count);
    }

    [Fact]
    public void A_flow_does_not_leave_its_backend_for_what_a_router_or_the_client_says()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));
        byte[] request = lb.Written;
        lb.Send(Packet.Udp(Backend, Client));
        byte[] answer = lb.Written;
        lb.WithService($"{Frontend}/UDP", Other);

        lb.Send(Packet.PortUnreachable("203.0.113.1", AddressOf(Client), request));
        lb.Send(Packet.TimeExceeded(AddressOf(Backend), AddressOf(Client), request));
        lb.Send(Packet.PortUnreachable(AddressOf(Client), AddressOf(Frontend), answer));

        Assert.Contains($"> {Backend}", lb.Send(Packet.Udp(Client, Frontend)));
    }

    [Fact]
    public void TCP_stays_with_a_backend_that_stopped_serving()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        lb.WithService($"{Frontend}/TCP", Other).WithoutServing($"{Frontend}/TCP", Backend);

        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Push("x")));
    }

    [Fact]
    public void A_SYN_that_nobody_answered_leaves_a_backend_that_stopped_serving_when_it_is_repeated()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        lb.Queue = 2;
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.WithService($"{Frontend}/TCP", Other).WithoutServing($"{Frontend}/TCP", Backend);
        lb.Queue = 0;

        Assert.Contains($"> {Other}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.Equal(2, lb.Meta.Queue);
        Assert.Equal(0UL, lb.Counters.RepickedFlows); // of UDP only
        AssertFlow(lb, "SYN_SENT", 60);
    }

    [Fact]
    public void A_SYN_on_a_half_closed_flow_leaves_a_backend_that_stopped_serving()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        lb.Send(Packet.Tcp(Client, Frontend).Fin());
        lb.WithService($"{Frontend}/TCP", Other).WithoutServing($"{Frontend}/TCP", Backend);

        Assert.Contains($"> {Other}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        AssertFlow(lb, "SYN_SENT", 60);
    }

    [Fact]
    public void A_SYN_on_a_connection_that_stands_does_not_end_it()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        lb.WithService($"{Frontend}/TCP", Other).WithoutServing($"{Frontend}/TCP", Backend);

        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Push("x")));
    }

    [Fact]
    public void A_SYN_that_was_answered_stays_with_a_backend_that_stopped_serving_when_it_is_repeated()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/TCP", Backend);
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.Send(Packet.Tcp(Backend, Client).SynAck()); // perhaps on its way to the client, who would be connected then
        lb.WithService($"{Frontend}/TCP", Other).WithoutServing($"{Frontend}/TCP", Backend);

        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp(Client, Frontend).Syn()));
    }

    [Fact]
    public void A_full_table_lets_idle_unanswered_flows_go_first_and_then_refuses()
    {
        using PipelineFixture lb = new PipelineFixture(
            flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64 })).WithService($"{Frontend}/TCP", Backend);
        Establish(lb);
        for (int port = 1; port < 64; port++)
        {
            lb.Later(TimeSpan.FromMilliseconds(1)).Send(Packet.Tcp($"10.244.0.9:{port}", Frontend).Syn());
        }

        Assert.Contains($"> {Backend}", lb.Send(Packet.Tcp("10.244.0.9:64", Frontend).Syn()));
        Assert.Equal(1, lb.Flows.Evicted);
        Assert.DoesNotContain(lb.List(), f => f.Original.SourcePort == 1);
        Assert.Contains(lb.List(), f => f.State == "ESTABLISHED");

        foreach (FlowSnapshot flow in lb.List().Where(f => f.State != "ESTABLISHED"))
        {
            string client = flow.Original.Source.WithPort(flow.Original.SourcePort);
            lb.Send(Packet.Tcp(Backend, client).SynAck());
            lb.Send(Packet.Tcp(client, Frontend).Ack());
        }

        Assert.Equal("drop: ConntrackFull", lb.Send(Packet.Tcp("10.244.0.9:65", Frontend).Syn()));
        Assert.Equal(64, lb.Flows.Count);
    }

    private static string AddressOf(string endpoint) => System.Net.IPEndPoint.Parse(endpoint).Address.ToString();

    private static void Establish(PipelineFixture lb)
    {
        lb.Send(Packet.Tcp(Client, Frontend).Syn());
        lb.Send(Packet.Tcp(Backend, Client).SynAck());
        lb.Send(Packet.Tcp(Client, Frontend).Ack());
    }

    private static void AssertFlow(PipelineFixture lb, string state, long seconds)
    {
        FlowSnapshot flow = Assert.Single(lb.List());
        Assert.Equal((state, seconds), (flow.State, flow.RemainingSeconds));
    }
}
