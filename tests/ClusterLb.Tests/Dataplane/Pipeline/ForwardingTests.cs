using ClusterLb.Dataplane;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

public sealed class ForwardingTests
{
    public static TheoryData<string, string, string, string> Families => new()
    {
        { "tcp", "10.244.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080" },
        { "udp", "10.244.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080" },
        { "sctp", "10.244.0.9:41000", "10.96.0.10:80", "10.244.1.5:8080" },
        { "tcp", "[fd00:10:244::9]:41000", "[fd00:10:96::a]:80", "[fd00:10:244:1::5]:8080" },
        { "udp", "[fd00:10:244::9]:41000", "[fd00:10:96::a]:80", "[fd00:10:244:1::5]:8080" },
        { "sctp", "[fd00:10:244::9]:41000", "[fd00:10:96::a]:80", "[fd00:10:244:1::5]:8080" },
    };

    [Theory, MemberData(nameof(Families))]
    public void A_packet_to_a_frontend_goes_to_its_backend_and_the_reply_carries_the_frontend_address(
        string protocol, string client, string frontend, string backend)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/{protocol}", backend);
        string flags = protocol == "tcp" ? " [S]" : "";
        string replyFlags = protocol == "tcp" ? " [S.]" : "";

        Assert.Equal($"{client} > {backend} {protocol}{flags} checksums ok", lb.Send(First(protocol, client, frontend)));
        Assert.True(lb.Meta.NewFlow);
        Assert.False(lb.Meta.Masqueraded);
        Assert.Equal($"{frontend} > {client} {protocol}{replyFlags} checksums ok", lb.Send(Answer(protocol, backend, client)));
        Assert.True(lb.Meta.IsReply);
        Assert.Equal(1, lb.Flows.Count);
    }

    [Fact]
    public void A_flow_keeps_its_backend_whatever_is_added_to_the_service()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Syn());

        lb.WithService("10.96.0.10:80/TCP", "10.244.1.6:8080", "10.244.1.7:8080");

        for (int i = 0; i < 20; i++)
        {
            Assert.Contains("> 10.244.1.5:8080", lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Ack()));
        }
    }

    [Fact]
    public void Every_slot_is_chosen_by_its_number()
    {
        var random = new ScriptedRandomSource();
        string[] backends = ["10.244.1.5:8080", "10.244.1.6:8080", "10.244.1.7:8080"];
        using PipelineFixture lb = new PipelineFixture(random: random).WithService("10.96.0.10:80/TCP", backends);
        for (uint slot = 0; slot < backends.Length; slot++)
        {
            random.Choose(slot, (uint)backends.Length);
            Assert.Contains($"> {backends[slot]} ", lb.Send(Packet.Tcp($"10.244.0.9:{41000 + slot}", "10.96.0.10:80").Syn()));
        }
    }

    [Fact]
    public void Random_choice_is_uniform()
    {
        const int Connections = 30_000;
        string[] backends = ["10.244.1.5:8080", "10.244.1.6:8080", "10.244.1.7:8080"];
        using PipelineFixture lb = new PipelineFixture(
            flows: ClusterLb.Dataplane.Conntrack.FlowTables.CreateInMemory(new() { Ipv4 = 65_536, Ipv6 = 64 }))
            .WithService("10.96.0.10:80/UDP", backends);
        for (int i = 0; i < Connections; i++)
        {
            lb.Send(Packet.Udp($"10.244.0.{1 + (i / 10_000)}:{20_000 + (i % 10_000)}", "10.96.0.10:80"));
        }

        // Binomial: mean 10,000, standard deviation 82; six of them.
        Assert.All(lb.List().GroupBy(f => f.Backend), g => Assert.InRange(g.Count(), 9_510, 10_490));
    }

    [Fact]
    public void All_packets_of_a_flow_leave_by_the_queue_of_the_first()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        lb.Queue = 3;
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Syn());
        Assert.Equal(3, lb.Meta.Queue);

        lb.Queue = 1;
        lb.Send(Packet.Tcp("10.244.1.5:8080", "10.244.0.9:41000").SynAck());
        Assert.Equal(3, lb.Meta.Queue);
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Ack());
        Assert.Equal(3, lb.Meta.Queue);
    }

    [Fact]
    public void Partial_checksums_stay_partial()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");

        string line = lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Syn().PartialChecksum(), partialChecksum: true);

        Assert.Equal("10.244.0.9:41000 > 10.244.1.5:8080 tcp [S] checksums partial", line);
        Assert.True(lb.Meta.PartialChecksum);
    }

    [Fact]
    public void A_partial_checksum_of_a_tunnelled_packet_leaves_the_outer_one_complete()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:4789/UDP", "10.244.1.5:4789");

        string line = lb.Send(Packet.Udp("10.244.0.9:41000", "10.96.0.10:4789").Payload(100), partialChecksum: true, checksumStart: 70);

        Assert.EndsWith("checksums ok", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_packet_that_is_for_no_service_is_passed_on_unchanged()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        byte[] packet = Packet.Tcp("10.244.0.9:41000", "203.0.113.5:443").Syn();

        Assert.StartsWith("pass: ", lb.Send(packet));
        Assert.Equal(packet, lb.Written);
        Assert.Equal(0, lb.Flows.Count);
    }

    [Fact]
    public void Both_directions_are_counted()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Syn());
        lb.Send(Packet.Tcp("10.244.1.5:8080", "10.244.0.9:41000").SynAck());
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Ack());
        lb.Send(Packet.Tcp("10.244.0.9:41000", "10.96.0.10:80").Push("hello"));

        var flow = Assert.Single(lb.List());
        Assert.Equal((3UL, 125UL, 1UL, 40UL), (flow.ClientPackets, flow.ClientBytes, flow.BackendPackets, flow.BackendBytes));
        Assert.Equal("ESTABLISHED", flow.State);
        Assert.Equal(4UL, lb.Counters.Packets(Verdict.Forward));
        Assert.Equal(165UL, lb.Counters.Bytes(Verdict.Forward));
        Assert.Equal(1UL, lb.Counters.NewFlows);
    }

    internal static PacketBuilder First(string protocol, string from, string to) => protocol switch
    {
        "tcp" => Packet.Tcp(from, to).Syn(),
        "udp" => Packet.Udp(from, to),
        _ => Packet.Sctp(from, to),
    };

    internal static PacketBuilder Answer(string protocol, string from, string to) => protocol switch
    {
        "tcp" => Packet.Tcp(from, to).SynAck(),
        "udp" => Packet.Udp(from, to),
        _ => Packet.Sctp(from, to),
    };
}
