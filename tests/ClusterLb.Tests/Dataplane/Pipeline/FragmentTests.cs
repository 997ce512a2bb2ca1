using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Datagrams in parts, put together again behind the dataplane: what a receiver would get.</summary>
public sealed class FragmentTests
{
    private const string Client = "10.244.0.9:41000";
    private const string Frontend = "10.96.0.10:53";
    private const string Backend = "10.244.1.5:5353";

    /// <summary>Client, frontend, backend, what the backend sees as the client.</summary>
    public static TheoryData<string, string, ServiceFlags, string, string> Paths => new()
    {
        { Client, Frontend, ServiceFlags.None, Backend, Client },
        { "[fd00:10:244::9]:41000", "[fd00:10:96::a]:53", ServiceFlags.None, "[fd00:10:244:1::5]:5353", "[fd00:10:244::9]:41000" },
        { "203.0.113.7:20000", Frontend, ServiceFlags.None, Backend, "192.168.0.2:20000" }, // masqueraded
        { "[2001:db8::7]:20000", "[fd00:10:96::a]:53", ServiceFlags.None, "[fd00:10:244:1::5]:5353", "[fd00:192::2]:20000" },
        { Backend, Frontend, ServiceFlags.None, Backend, "192.168.0.2:5353" }, // hairpin
        { "203.0.113.7:20000", "192.168.0.2:30053", ServiceFlags.NodePort, Backend, "192.168.0.2:20000" },
        { "203.0.113.7:20000", "198.51.100.1:53", ServiceFlags.LoadBalancer, Backend, "192.168.0.2:20000" },
        { "203.0.113.7:20000", "198.51.100.1:53", ServiceFlags.LoadBalancer | ServiceFlags.ExternalLocalScope, Backend, "203.0.113.7:20000" },
    };

    [Theory, MemberData(nameof(Paths))]
    public void A_datagram_in_parts_arrives_as_if_it_were_whole_and_so_does_the_answer(
        string client, string frontend, ServiceFlags flags, string backend, string seen)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/UDP", flags, backend);

        Assert.Equal(
            Packet.Udp(seen, backend).Payload(5000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Udp(client, frontend).Payload(5000).Fragments(1480)));
        Assert.Equal(1, lb.Flows.Count);
        Assert.Equal(
            Packet.Udp(frontend, client).Payload(3000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Udp(backend, seen).Payload(3000).Fragments(1480, id: 2)));
        Assert.Equal(7UL, lb.Counters.Fragments);
    }

    [Fact]
    public void Datagrams_of_two_flows_between_the_same_hosts_do_not_mix()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        IReadOnlyList<byte[]> one = Packet.Udp(Client, Frontend).Payload(3000).Fragments(1480, id: 1);
        IReadOnlyList<byte[]> two = Packet.Udp("10.244.0.9:41001", Frontend).Payload(4000).Fragments(1480, id: 2);

        byte[][] written = [.. one.Zip(two).SelectMany(pair => new[] { Sent(lb, pair.First), Sent(lb, pair.Second) })];

        Assert.Equal(Packet.Udp(Client, Backend).Payload(3000).Ttl(65).ToBytes(), Reassembly.Of([.. written.Where((_, i) => i % 2 == 0)]));
    }

    [Fact]
    public void Fragments_of_an_address_pair_go_to_one_queue_whatever_their_flow()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        var queues = new HashSet<ushort>();
        for (ushort port = 41000; port < 41010; port++)
        {
            lb.Queue = port;
            lb.Send(Packet.Udp($"10.244.0.9:{port}", Frontend));
            foreach (byte[] fragment in Packet.Udp($"10.244.0.9:{port}", Frontend).Payload(3000).Fragments(1480, id: port))
            {
                lb.Queue++;
                lb.Send(fragment);
                queues.Add(lb.Meta.Queue);
            }
        }

        Assert.Single(queues);
    }

    [Fact]
    public void A_later_fragment_without_its_first_is_dropped()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        IReadOnlyList<byte[]> fragments = Packet.Udp(Client, Frontend).Payload(3000).Fragments(1480);

        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[1])); // overtook the first one
        Assert.Equal(Verdict.Forward, VerdictOf(lb, fragments[0]));
        Assert.Equal(Verdict.Forward, VerdictOf(lb, fragments[2]));
        Assert.Equal("drop: FragmentWithoutFirst", lb.Later(TimeSpan.FromSeconds(6)).Send(fragments[1])); // too late
    }

    [Theory]
    [InlineData("10.96.0.77:53", "drop: UnknownServiceAddress")]
    [InlineData("10.96.0.11:53", "reject: 10.96.0.11 > 10.244.0.9 icmp port unreachable (10.244.0.9:41000 > 10.96.0.11:53 udp) checksums ok")]
    public void Where_the_first_does_not_go_the_rest_does_not_go_either(string destination, string first)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend).WithService("10.96.0.11:53/UDP");
        IReadOnlyList<byte[]> fragments = Packet.Udp(Client, destination).Payload(3000).Fragments(1480);

        Assert.Equal(first, lb.Send(fragments[0]));
        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[1]));
        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[2]));
    }

    [Theory]
    [InlineData(Client, "203.0.113.1:53")]
    [InlineData("10.244.1.5:9999", "203.0.113.1:53")] // from a backend, but not from its port
    [InlineData("203.0.113.1:53", "192.168.0.2:30099")]
    public void All_parts_of_what_is_for_nobody_here_pass_unchanged(string from, string to)
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.WithNetwork("192.168.0.2/32", NetworkFlags.NodeAddress | NetworkFlags.NodePortAddress);
        lb.Send(Packet.Udp(Client, Frontend));

        foreach (byte[] fragment in Packet.Udp(from, to).Payload(3000).Fragments(1480))
        {
            Assert.Equal(Verdict.Pass, VerdictOf(lb, fragment));
            Assert.Equal(fragment, lb.Written);
        }
    }

    [Fact]
    public void An_untranslatable_answer_is_dropped_whole()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend));

        IReadOnlyList<byte[]> fragments = Packet.Udp(Backend, "203.0.113.1:53").Payload(3000).Fragments(1480);
        Assert.Equal("drop: UntranslatableReply", lb.Send(fragments[0]));
        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[1]));
    }

    [Fact]
    public void A_datagram_stays_together_when_its_backend_stops_serving_in_the_middle()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        IReadOnlyList<byte[]> fragments = Packet.Udp(Client, Frontend).Payload(3000).Fragments(1480);
        byte[] first = Sent(lb, fragments[0]);
        lb.WithService($"{Frontend}/UDP", "10.244.1.6:5353").WithoutServing($"{Frontend}/UDP", Backend);

        Assert.Equal(
            Packet.Udp(Client, Backend).Payload(3000).Ttl(65).ToBytes(),
            Reassembly.Of([first, Sent(lb, fragments[1]), Sent(lb, fragments[2])]));
        Assert.Equal( // the next one goes elsewhere, as any datagram
            Packet.Udp(Client, "10.244.1.6:5353").Payload(3000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Udp(Client, Frontend).Payload(3000).Fragments(1480, id: 2)));
    }

    [Fact]
    public void A_fragment_whose_flow_is_gone_is_dropped_and_begins_none()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        IReadOnlyList<byte[]> fragments = Packet.Udp(Client, Frontend).Payload(3000).Fragments(1480);
        lb.Send(fragments[0]);
        lb.Flows.Flush(new ClusterLb.Dataplane.Conntrack.FlowFilter(), lb.NowMs);

        Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[1]));
        Assert.Equal(0, lb.Flows.Count);
    }

    [Fact]
    public void Parts_of_a_TCP_segment_are_translated_and_move_no_state()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:80/TCP", "10.244.1.5:8080");
        lb.Send(Packet.Tcp(Client, "10.96.0.10:80").Syn());
        lb.Send(Packet.Tcp("10.244.1.5:8080", Client).SynAck());
        lb.Send(Packet.Tcp(Client, "10.96.0.10:80").Ack());
        string state = lb.List()[0].State.ToString();

        Assert.Equal(
            Packet.Tcp(Client, "10.244.1.5:8080").Ack().Payload(3000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Tcp(Client, "10.96.0.10:80").Ack().Payload(3000).Fragments(1480)));
        Assert.Equal(state, lb.List()[0].State.ToString());
    }

    [Theory]
    [InlineData(Client, "10.96.0.10:9", "10.244.1.5:9")]
    [InlineData("[fd00:10:244::9]:41000", "[fd00:10:96::a]:9", "[fd00:10:244:1::5]:9")]
    public void Parts_of_an_SCTP_packet_are_translated_where_the_ports_stay(string client, string frontend, string backend)
    {
        using PipelineFixture lb = Associated(client, frontend, backend);

        Assert.Equal(
            Packet.Sctp(client, backend).Payload(5000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Sctp(client, frontend).Payload(5000).Fragments(1480)));
        Assert.Equal(
            Packet.Sctp(frontend, client).Payload(3000).Ttl(65).ToBytes(),
            Whole(lb, Packet.Sctp(backend, client).Payload(3000).Fragments(1480, id: 2)));
    }

    [Fact]
    public void Parts_of_an_SCTP_packet_whose_ports_change_are_dropped_unless_it_has_no_checksum()
    {
        using PipelineFixture lb = Associated(Client, "10.96.0.10:7", "10.244.1.5:9");
        foreach (PacketBuilder packet in (PacketBuilder[])[Packet.Sctp(Client, "10.96.0.10:7"), Packet.Sctp("10.244.1.5:9", Client)])
        {
            IReadOnlyList<byte[]> fragments = packet.Payload(3000).Fragments(1480);
            Assert.Equal("drop: SctpFragment", lb.Send(fragments[0]));
            Assert.Equal("drop: FragmentWithoutFirst", lb.Send(fragments[1]));
        }

        Assert.Equal(
            Packet.Sctp(Client, "10.244.1.5:9").Payload(3000).NoChecksum().Ttl(65).ToBytes(),
            Whole(lb, Packet.Sctp(Client, "10.96.0.10:7").Payload(3000).NoChecksum().Fragments(1480, id: 3)));
    }

    [Fact]
    public void No_association_begins_with_a_part_of_a_packet()
    {
        using PipelineFixture lb = new PipelineFixture().WithService("10.96.0.10:9/SCTP", "10.244.1.5:9");

        Assert.Equal("drop: SctpFragment", lb.Send(Packet.Sctp(Client, "10.96.0.10:9").Payload(3000).Fragments(1480)[0]));
        Assert.Equal(0, lb.Flows.Count);
        foreach (byte[] fragment in Packet.Sctp(Client, "203.0.113.1:9").Payload(3000).Fragments(1480))
        {
            Assert.Equal(Verdict.Pass, VerdictOf(lb, fragment)); // for nobody here
        }
    }

    [Fact]
    public void A_fragmented_ICMP_error_is_dropped()
    {
        using PipelineFixture lb = new PipelineFixture().WithService($"{Frontend}/UDP", Backend);
        lb.Send(Packet.Udp(Client, Frontend).Payload(900));

        Assert.Equal(
            "drop: IcmpFragment",
            lb.Send(Packet.PortUnreachable("10.244.1.5", "10.244.0.9", lb.Written).Fragments(480)[0]));
    }

    private static PipelineFixture Associated(string client, string frontend, string backend)
    {
        PipelineFixture lb = new PipelineFixture().WithService($"{frontend}/SCTP", backend);
        lb.Send(Packet.Sctp(client, frontend).Payload(20));
        lb.Send(Packet.Sctp(backend, client).Payload(20));
        return lb;
    }

    private static byte[] Whole(PipelineFixture lb, IReadOnlyList<byte[]> fragments) => Reassembly.Of([.. fragments.Select(f => Sent(lb, f))]);

    private static byte[] Sent(PipelineFixture lb, byte[] fragment)
    {
        string line = lb.Send(fragment);
        Assert.True(lb.Verdict == Verdict.Forward, line);
        return lb.Written;
    }

    private static Verdict VerdictOf(PipelineFixture lb, byte[] packet)
    {
        lb.Send(packet);
        return lb.Verdict;
    }
}
