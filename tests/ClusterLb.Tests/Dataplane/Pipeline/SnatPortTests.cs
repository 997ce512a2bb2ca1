using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>Which source port a masqueraded flow gets, until there is none left.</summary>
public sealed class SnatPortTests
{
    private const string Frontend = "10.96.0.10:80";
    private const string Backend = "10.244.1.5:8080";
    private const int FirstPort = 30_000; // of the clients: none of these is one of ours
    private const int Ports = 30_000;

    [Fact]
    public void Two_clients_with_the_same_ports_have_60000_flows_to_one_backend_and_then_new_ones_are_refused()
    {
        using PipelineFixture lb = Fixture();
        var taken = new HashSet<ushort>();
        int ownPort = 0;
        for (int port = FirstPort; port < FirstPort + Ports; port++)
        {
            foreach (string client in (string[])["203.0.113.7", "203.0.113.8"])
            {
                Assert.True(Opens(lb, client, port), $"{client}:{port}: {lb.Meta.DropReason} after {taken.Count} flows");
                Assert.True(taken.Add(lb.Meta.Translated.SourcePort), "a live port was used again");
                ownPort += lb.Meta.Translated.SourcePort == port ? 1 : 0;
            }
        }

        Assert.Equal(2 * Ports, lb.Flows.Count);

        // The third client finds each of its ports taken; what it gets is what is left in the pool, to the last port.
        int more = 0;
        for (int port = FirstPort; port < FirstPort + 5_000; port++)
        {
            bool opens = Opens(lb, "203.0.113.9", port);
            Assert.True(opens ? taken.Add(lb.Meta.Translated.SourcePort) : lb.Meta.DropReason == DropReason.SnatPortsExhausted);
            more += opens ? 1 : 0;
            ownPort += opens && lb.Meta.Translated.SourcePort == port ? 1 : 0;
        }

        Assert.Equal(SnatPortRanges.Default.Count, taken.Count - ownPort);
        Assert.Equal((ulong)(5_000 - more), lb.Counters.Drops(DropReason.SnatPortsExhausted));

        // One port serves many backends.
        lb.Send(Packet.Tcp("203.0.113.9:30000", "10.96.0.11:80").Syn());
        Assert.InRange(lb.Meta.Translated.SourcePort, SnatPortRanges.Default.First, SnatPortRanges.Default.Last);

        // A port is free again when its flow is gone.
        lb.Flows.Flush(new FlowFilter { Client = IpPrefix.Parse("203.0.113.8/32") }, lb.NowMs);
        for (int port = FirstPort; port < FirstPort + Ports - more; port++)
        {
            Assert.True(Opens(lb, "203.0.113.10", port), $"{port}: {lb.Meta.DropReason}");
        }
    }

    [Fact]
    public void Answers_of_every_flow_find_their_client_when_ports_are_scarce()
    {
        using PipelineFixture lb = Fixture();
        var expected = new Dictionary<ushort, string>();
        for (int port = FirstPort; port < FirstPort + 4_000; port++)
        {
            foreach (string client in (string[])["203.0.113.7", "203.0.113.8", "203.0.113.9"])
            {
                Assert.True(Opens(lb, client, port));
                expected.Add(lb.Meta.Translated.SourcePort, $"{client}:{port}");
            }
        }

        foreach ((ushort port, string client) in expected)
        {
            Assert.StartsWith($"{Frontend} > {client} ", lb.Send(Packet.Tcp(Backend, $"192.168.0.2:{port}").SynAck()), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Ports_of_this_nodes_own_connections_are_used_only_when_ours_are_nearly_gone()
    {
        using PipelineFixture lb = Fixture();
        for (int client = 0; client < 2_000; client++)
        {
            Assert.True(Opens(lb, $"203.0.{client / 250}.{1 + (client % 250)}", 41_000));
            Assert.InRange(lb.Meta.Translated.SourcePort, SnatPortRanges.Default.First, SnatPortRanges.Default.Last);
        }
    }

    [Fact]
    public void Every_port_has_one_index()
    {
        SnatPortRanges ranges = SnatPortRanges.Default;
        var seen = new HashSet<ushort>();
        for (int index = 0; index < ranges.Count; index++)
        {
            ushort port = ranges.PortAt(index);
            Assert.True(seen.Add(port) && ranges.Contains(port));
        }

        Assert.Equal(29_999 - 1_024 + 1 + 65_535 - 61_000 + 1, seen.Count);
        Assert.All((ushort[])[0, 1_023, 30_000, 32_767, 40_000, 60_999], port => Assert.False(ranges.Contains(port)));
    }

    [Fact]
    public void Other_ranges_hold_from_the_next_flow_on_and_beyond_them_flows_are_refused()
    {
        using PipelineFixture lb = Fixture();
        Assert.True(Opens(lb, "203.0.113.1", 41_000)); // of the usual ports
        lb.WithNode(node => node with { SnatPorts = new SnatPortRanges(5_000, 5_009) });

        // Nobody has the client's own port yet; then ten more.
        var taken = new HashSet<ushort>();
        for (int client = 2; client < 13; client++)
        {
            Assert.True(Opens(lb, $"203.0.113.{client}", 41_000), $"client {client}: {lb.Meta.DropReason}");
            Assert.True(taken.Add(lb.Meta.Translated.SourcePort));
        }

        Assert.Equal([.. Enumerable.Range(5_000, 10), 41_000], taken.Order().Select(port => (int)port));
        Assert.False(Opens(lb, "203.0.113.99", 41_000));
        Assert.Equal(DropReason.SnatPortsExhausted, lb.Meta.DropReason);

        // Ports of before are known by the flow table, and of a wider range there are more.
        lb.WithNode(node => node with { SnatPorts = new SnatPortRanges(5_000, 5_010) });
        Assert.True(Opens(lb, "203.0.113.99", 41_000));
        Assert.Equal(5_010, lb.Meta.Translated.SourcePort);
    }

    private static PipelineFixture Fixture() => new PipelineFixture(
        flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 131_072, Ipv6 = 64, Workers = 1 }), random: new FastRandomSource(1))
        .WithService($"{Frontend}/TCP", Backend).WithService("10.96.0.11:80/TCP", "10.244.1.6:8080");

    private static bool Opens(PipelineFixture lb, string client, int port)
    {
        lb.Send(Packet.Tcp($"{client}:{port}", Frontend).Syn());
        return lb.Verdict == Verdict.Forward;
    }
}
