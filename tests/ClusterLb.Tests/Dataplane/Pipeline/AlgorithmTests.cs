using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Pipeline;

/// <summary>A property of each algorithm, on packets through the pipeline; seeds are fixed.</summary>
public sealed class AlgorithmTests : IDisposable
{
    private const string Frontend = "10.96.0.10:80";
    private const int Flows = 20_000;
    private static readonly string[] Backends = [.. Enumerable.Range(1, 7).Select(i => $"10.244.1.{i}:8080")];

    private readonly PipelineFixture _lb = new(
        flows: FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 65_536, Ipv6 = 64, Workers = 1 }), random: new FastRandomSource(4_711));

    private uint _client;

    public static TheoryData<SelectionAlgorithm> All => [.. Enum.GetValues<SelectionAlgorithm>()];

    public static TheoryData<SelectionAlgorithm> Hashes => [SelectionAlgorithm.Maglev, SelectionAlgorithm.SourceHash, SelectionAlgorithm.DestinationHash];

    public void Dispose() => _lb.Dispose();

    [Theory]
    [InlineData(SelectionAlgorithm.Random)]
    [InlineData(SelectionAlgorithm.RoundRobin)]
    [InlineData(SelectionAlgorithm.LeastConnections)]
    [InlineData(SelectionAlgorithm.ShortestExpectedDelay)]
    [InlineData(SelectionAlgorithm.Maglev)]
    [InlineData(SelectionAlgorithm.SourceHash)]
    public void Many_clients_are_spread_evenly(SelectionAlgorithm algorithm)
    {
        Serve(algorithm, Backends);

        Dictionary<string, int> counts = Count(Flows, () => Connect(NextClient()));

        Assert.True(ChiSquare.IsPlausible([.. counts.Values]), string.Join(", ", counts));
        Assert.Equal(Backends.Length, counts.Count);
    }

    [Theory, MemberData(nameof(All))]
    public void A_share_of_ten_percent_is_ten_percent_and_even_within_both_groups(SelectionAlgorithm algorithm)
    {
        string[] canaries = ["10.244.2.1:8080", "10.244.2.2:8080"];
        _lb.SharePercent = 10;
        Canary(algorithm, canaries);
        Serve(algorithm, Backends[..3]);

        Dictionary<string, int> counts = Count(Flows, () => Connect(NextClient()));
        int canary = canaries.Sum(b => counts.GetValueOrDefault(b));

        Assert.True(ChiSquare.IsPlausible([canary, Flows - canary], 10, 90), $"{canary} of {Flows}");
        if (algorithm != SelectionAlgorithm.DestinationHash)
        {
            Assert.True(ChiSquare.IsPlausible([.. Backends[..3].Select(b => counts.GetValueOrDefault(b))]), string.Join(", ", counts));
            Assert.True(ChiSquare.IsPlausible([.. canaries.Select(b => counts.GetValueOrDefault(b))]), string.Join(", ", counts));
        }
        else
        {
            Assert.Equal(2, counts.Count); // it knows one destination here: one backend of each group
        }
    }

    [Theory, MemberData(nameof(All))]
    public void An_empty_canary_takes_nothing_and_an_empty_service_gives_all(SelectionAlgorithm algorithm)
    {
        _lb.SharePercent = 50;
        Canary(algorithm);
        Serve(algorithm, Backends[0]);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal(Backends[0], Connect(NextClient())));

        Canary(algorithm, "10.244.2.1:8080");
        Serve(algorithm);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal("10.244.2.1:8080", Connect(NextClient())));

        Canary(algorithm);
        Assert.Equal("reject", _lb.Send(Packet.Tcp("10.244.0.9:41000", Frontend).Syn())[..6]);
    }

    [Fact]
    public void A_pinned_client_stays_in_its_group()
    {
        _lb.SharePercent = 50;
        _lb.AffinitySeconds = 60;
        Canary(SelectionAlgorithm.Random, "10.244.2.1:8080", "10.244.2.2:8080");
        Serve(SelectionAlgorithm.Random, Backends[..2]);
        for (uint client = 0; client < 40; client++)
        {
            string first = Connect(client);
            Assert.Equal(first, Backend(Packet.Tcp($"{IpAddr.FromIpv4(0x0AF4_2000 + client)}:50123", Frontend).Syn()));
            Assert.Equal(SelectionKind.Pinned, _lb.Meta.Selection.Kind);
            Assert.Equal(first.StartsWith("10.244.2.", StringComparison.Ordinal), _lb.Meta.Selection.IsCanary);
        }
    }

    [Fact]
    public void Round_robin_goes_round_whoever_else_does()
    {
        Serve(SelectionAlgorithm.RoundRobin, Backends);
        _lb.WithService("10.96.0.11:80/TCP", Backends[..3]);
        string[] first = [.. Backends.Select(_ => Connect(NextClient()))];
        Assert.Equal(Backends.Length, first.Distinct().Count());

        for (int i = 0; i < 50; i++)
        {
            Connect(NextClient(), "10.96.0.11:80");
            Assert.Equal(first[i % Backends.Length], Connect(NextClient()));
        }
    }

    [Theory]
    [InlineData(SelectionAlgorithm.LeastConnections)]
    [InlineData(SelectionAlgorithm.ShortestExpectedDelay)] // all endpoints have the same weight
    public void Nobody_takes_a_backend_that_has_more_connections_than_another(SelectionAlgorithm algorithm)
    {
        Serve(algorithm, Backends);
        var open = Backends.ToDictionary(backend => backend, _ => new Queue<uint>());
        var random = new Random(4_711);
        for (int i = 0; i < 5_000; i++)
        {
            string busiest = open.MaxBy(pair => pair.Value.Count).Key;
            string victim = random.Next(2) == 0 ? busiest : Backends[random.Next(Backends.Length)];
            if (random.Next(3) == 0 && open[victim].TryDequeue(out uint closing))
            {
                _lb.Send(Packet.Tcp(Address(closing), Frontend).Flags(TcpFlags.Rst | TcpFlags.Ack));
                continue;
            }

            int fewest = open.Values.Min(flows => flows.Count);
            uint client = NextClient();
            string chosen = Connect(client);
            Assert.True(open[chosen].Count == fewest, $"flow {i}: {chosen} has {open[chosen].Count}, another {fewest}");
            open[chosen].Enqueue(client);
        }
    }

    /// <summary>Reset, reset again, forgotten, evicted: whatever ends a flow takes it back once.</summary>
    [Fact]
    public void The_account_of_active_flows_is_exact()
    {
        Serve(SelectionAlgorithm.LeastConnections, Backends[0]);
        uint[] clients = [.. Enumerable.Range(0, 100).Select(_ => NextClient())];
        Array.ForEach(clients, client => Connect(client));
        uint id = _lb.Meta.BackendId;
        Assert.Equal(100u, _lb.Flows.ActiveFlows(id));

        foreach (uint client in clients[..40])
        {
            _lb.Send(Packet.Tcp(Address(client), Frontend).Flags(TcpFlags.Rst));
            _lb.Send(Packet.Tcp(Address(client), Frontend).Flags(TcpFlags.Rst));
        }

        Assert.Equal(60u, _lb.Flows.ActiveFlows(id));
        _lb.Flows.Flush(new FlowFilter { Client = IpPrefix.Parse("10.0.0.0/8") }, _lb.NowMs);
        Assert.Equal(0u, _lb.Flows.ActiveFlows(id));
    }

    [Fact]
    public void Services_with_other_algorithms_are_not_counted()
    {
        Serve(SelectionAlgorithm.Random, Backends[0]);
        Connect(NextClient());

        Assert.Equal(0u, _lb.Flows.ActiveFlows(_lb.Meta.BackendId));
    }

    [Fact]
    public void Source_hash_knows_the_client_by_its_address_alone()
    {
        Serve(SelectionAlgorithm.SourceHash, Backends);
        for (uint client = 0; client < 100; client++)
        {
            string first = Connect(client);
            Assert.Equal(first, Backend(Packet.Tcp($"{IpAddr.FromIpv4(0x0AF4_2000 + client)}:50123", Frontend).Syn()));
        }
    }

    [Fact]
    public void Destination_hash_sends_all_clients_of_a_frontend_to_one_backend_and_frontends_to_several()
    {
        string[] frontends = [.. Enumerable.Range(20, 60).Select(i => $"10.96.0.{i}:80")];
        _lb.Algorithm = SelectionAlgorithm.DestinationHash;
        Array.ForEach(frontends, frontend => _lb.WithService($"{frontend}/TCP", Backends));

        string[] chosen = [.. frontends.Select(frontend =>
            Assert.Single(Enumerable.Range(0, 10).Select(_ => Connect(NextClient(), frontend)).Distinct()))];

        Assert.Equal(Backends.Length, chosen.Distinct().Count());
    }

    [Theory, MemberData(nameof(Hashes))]
    public void A_hash_decides_alike_on_every_node_whatever_the_order_of_the_slots(SelectionAlgorithm algorithm)
    {
        using var other = new PipelineFixture(random: new FastRandomSource(1)) { Algorithm = algorithm };
        other.WithService("10.96.0.99:80/TCP", Backends[3]); // other ids
        other.WithService($"{Frontend}/TCP", [.. Backends.Reverse()]);
        Serve(algorithm, Backends);

        for (uint client = 0; client < 200; client++)
        {
            string here = Connect(client);
            other.Send(Packet.Tcp(Address(client), Frontend).Syn());
            Assert.Equal(here, other.Meta.Translated.Destination.WithPort(other.Meta.Translated.DestinationPort));
        }
    }

    [Theory]
    [InlineData(SelectionAlgorithm.Maglev)]
    [InlineData(SelectionAlgorithm.SourceHash)]
    public void When_a_backend_goes_the_clients_of_the_others_stay(SelectionAlgorithm algorithm)
    {
        Serve(algorithm, Backends);
        string[] before = [.. Enumerable.Range(0, 2_000).Select(client => Connect((uint)client))];
        _lb.Flows.Flush(FlowFilter.All, _lb.NowMs);
        Serve(algorithm, Backends[1..]);

        string[] after = [.. Enumerable.Range(0, 2_000).Select(client => Connect((uint)client))];

        int moved = Enumerable.Range(0, 2_000).Count(client => before[client] != Backends[0] && before[client] != after[client]);
        Assert.True(moved < 2_000 * 0.05, $"{moved} of 2000 moved"); // 7 backends: a seventh of the table is dealt anew
    }

    [Fact]
    public void With_affinity_Maglev_does_not_look_at_the_source_port()
    {
        _lb.AffinitySeconds = 1;
        Serve(SelectionAlgorithm.Maglev, Backends);
        for (uint client = 0; client < 50; client++)
        {
            string first = Connect(client);
            _lb.Later(TimeSpan.FromSeconds(2)); // the pin is over
            Assert.Equal(first, Backend(Packet.Tcp($"{IpAddr.FromIpv4(0x0AF4_2000 + client)}:50123", Frontend).Syn()));
            Assert.Equal(SelectionKind.Maglev, _lb.Meta.Selection.Kind);
        }
    }

    [Theory, MemberData(nameof(Hashes))]
    public void Without_a_table_a_hash_still_finds_a_backend(SelectionAlgorithm algorithm)
    {
        Serve(algorithm, Backends);
        foreach (MaglevKey key in _lb.Maps.Maglev.Keys().ToArray())
        {
            _lb.Maps.Maglev.Delete(key);
        }

        string first = Connect(5);
        _lb.Flows.Flush(FlowFilter.All, _lb.NowMs);

        Assert.Equal(first, Connect(5));
        Assert.Equal(SelectionKind.HashWithoutTable, _lb.Meta.Selection.Kind);
    }

    [Fact]
    public void A_share_of_any_size_leaves_numbers_uniform()
    {
        var random = new FastRandomSource(4_711);
        for (uint percent = 0; percent <= 100; percent += 7)
        {
            var counts = new int[2][] { new int[10], new int[10] };
            for (int i = 0; i < 50_000; i++)
            {
                uint number = random.Next();
                int group = SplitShare.Takes(ref number, percent) ? 1 : 0;
                counts[group][(int)(((ulong)number * 10) >> 32)]++;
            }

            Assert.True(percent is 0 || ChiSquare.IsPlausible([counts[1].Sum(), counts[0].Sum()], percent, 100 - percent), $"{percent} %");
            Assert.True(ChiSquare.IsPlausible(counts[0]), $"{percent} %: {string.Join(", ", counts[0])}");
            Assert.True(percent is 0 || ChiSquare.IsPlausible(counts[1]), $"{percent} %: {string.Join(", ", counts[1])}");
        }
    }

    private static string Address(uint client) => $"{IpAddr.FromIpv4(0x0AF4_2000 + client)}:{40_000 + (client % 7)}";

    private static Dictionary<string, int> Count(int flows, Func<string> connect) =>
        Enumerable.Range(0, flows).Select(_ => connect()).CountBy(backend => backend).ToDictionary();

    private uint NextClient() => ++_client;

    private void Serve(SelectionAlgorithm algorithm, params string[] backends)
    {
        _lb.Algorithm = algorithm;
        _lb.WithService($"{Frontend}/TCP", backends);
    }

    private void Canary(SelectionAlgorithm algorithm, params string[] backends)
    {
        _lb.Algorithm = algorithm;
        _lb.WithScope($"{Frontend}/TCP", LookupScope.ExternalCanary, ServiceFlags.EndpointsExist, backends);
    }

    private string Connect(uint client, string to = Frontend) => Backend(Packet.Tcp(Address(client), to).Syn());

    private string Backend(PacketBuilder packet)
    {
        string line = _lb.Send(packet);
        Assert.True(_lb.Verdict == Verdict.Forward, line);
        return _lb.Meta.Translated.Destination.WithPort(_lb.Meta.Translated.DestinationPort);
    }
}
