using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class FragmentTableTests
{
    private const int Capacity = 64; // 8 buckets
    private const long NowMs = 1_000_000;

    [Theory, InlineData(false), InlineData(true)]
    public void Later_fragments_find_the_ports_of_the_first(bool ipv6)
    {
        using FlowTables flows = Create();
        FlowTuple first = First(1, ipv6);

        Assert.Equal(FragmentResult.Remembered, flows.RememberFragment(first, 77, NowMs));

        Assert.True(flows.TryRecallFragment(Later(first), 77, isLast: false, NowMs + 1, out FlowTuple whole));
        Assert.Equal(first, whole);
        Assert.False(flows.TryRecallFragment(Later(first), 78, isLast: false, NowMs + 1, out _)); // another datagram
        Assert.False(flows.TryRecallFragment(Later(First(2, ipv6)), 77, isLast: false, NowMs + 1, out _)); // of somebody else
        Assert.False(flows.TryRecallFragment(Later(first.Reverse), 77, isLast: false, NowMs + 1, out _));
    }

    [Fact]
    public void The_protocol_is_part_of_the_key_in_IPv4_and_told_by_the_first_in_IPv6()
    {
        using FlowTables flows = Create();
        FlowTuple ipv4 = First(1, ipv6: false);
        FlowTuple ipv6 = First(1, ipv6: true);
        flows.RememberFragment(ipv4, 77, NowMs);
        flows.RememberFragment(ipv6, 77, NowMs);

        Assert.False(flows.TryRecallFragment(Later(ipv4) with { Protocol = IpProtocol.Tcp }, 77, isLast: false, NowMs, out _));
        Assert.True(flows.TryRecallFragment(Later(ipv6) with { Protocol = IpProtocol.Any }, 77, isLast: false, NowMs, out FlowTuple whole));
        Assert.Equal(ipv6, whole); // options stood before the transport header: only the first fragment knew
    }

    [Fact]
    public void An_identification_that_comes_again_means_the_newer_datagram()
    {
        using FlowTables flows = Create();
        FlowTuple old = First(1, ipv6: false);
        FlowTuple young = old with { SourcePort = 7 };
        flows.RememberFragment(old, 77, NowMs);
        flows.RememberFragment(young, 77, NowMs + 1);

        Assert.True(flows.TryRecallFragment(Later(old), 77, isLast: true, NowMs + 2, out FlowTuple whole));
        Assert.Equal(young, whole);
        Assert.Equal(1, flows.FragmentCount);
    }

    [Fact]
    public void A_datagram_is_forgotten_after_its_time_and_soon_after_its_last_fragment()
    {
        using FlowTables flows = Create();
        FlowTuple first = First(1, ipv6: false);
        flows.RememberFragment(first, 77, NowMs);
        Assert.True(flows.TryRecallFragment(Later(first), 77, isLast: false, NowMs + FragmentTable.TimeoutMs - 1, out _));
        Assert.False(flows.TryRecallFragment(Later(first), 77, isLast: false, NowMs + FragmentTable.TimeoutMs, out _));

        flows.RememberFragment(first, 78, NowMs);
        Assert.True(flows.TryRecallFragment(Later(first), 78, isLast: true, NowMs, out _));
        Assert.True(flows.TryRecallFragment(Later(first), 78, isLast: false, NowMs + FragmentTable.OvertakenMs - 1, out _)); // overtaken
        Assert.False(flows.TryRecallFragment(Later(first), 78, isLast: false, NowMs + (2 * FragmentTable.OvertakenMs), out _));
    }

    [Fact]
    public void Sweeping_empties_what_has_expired_and_nothing_else()
    {
        using FlowTables flows = Create();
        flows.RememberFragment(First(1, ipv6: false), 1, NowMs);
        flows.RememberFragment(First(2, ipv6: true), 2, NowMs + 3_000);

        Sweep(flows, NowMs + FragmentTable.TimeoutMs);

        Assert.Equal(1, flows.FragmentCount);
        Assert.True(flows.TryRecallFragment(Later(First(2, ipv6: true)), 2, isLast: false, NowMs + FragmentTable.TimeoutMs, out _));
    }

    [Fact]
    public void A_flood_of_first_fragments_pushes_out_the_oldest_and_stays_within_the_table()
    {
        using FlowTables flows = Create();
        int evicted = 0;
        for (uint i = 0; i < 10_000; i++)
        {
            evicted += flows.RememberFragment(First(i, ipv6: false), i, NowMs + (i / 10)) == FragmentResult.Evicted ? 1 : 0;

            // What has just come is never what goes: a bucket has eight places.
            Assert.True(flows.TryRecallFragment(Later(First(i, ipv6: false)), i, isLast: false, NowMs + (i / 10), out _));
        }

        Assert.Equal(Capacity, flows.FragmentCount);
        Assert.Equal(10_000 - Capacity, evicted);
    }

    [Fact]
    public void Datagrams_that_are_complete_go_before_those_that_are_not()
    {
        using FlowTables flows = Create();
        flows.RememberFragment(First(1, ipv6: false), 1, NowMs); // incomplete, and the oldest
        for (uint i = 2; i < 1_000; i++)
        {
            Assert.NotEqual(FragmentResult.Evicted, flows.RememberFragment(First(i, ipv6: false), i, NowMs + 10));
            flows.TryRecallFragment(Later(First(i, ipv6: false)), i, isLast: true, NowMs + 10, out _);
        }

        Assert.True(flows.TryRecallFragment(Later(First(1, ipv6: false)), 1, isLast: true, NowMs + 20, out _));
    }

    [Fact]
    public void The_next_process_goes_on_with_what_the_last_one_saw_and_clears_what_it_left_half_written()
    {
        using MapFile file = MapFile.CreateAnonymous(FragmentTable.SpecOf("fragments", Capacity));
        var before = new FragmentTable(file);
        before.Remember(First(1, ipv6: false), 1, NowMs);
        before.Remember(First(2, ipv6: false), 2, NowMs);
        for (uint place = 8; place < 8 + Capacity; place++)
        {
            // The second one's writer is killed: its place has an odd generation for ever.
            ref byte start = ref file.At(file.Spec.PlacesOffset + (place * file.Spec.PlaceSize));
            ref FragmentPlace it = ref System.Runtime.CompilerServices.Unsafe.As<byte, FragmentPlace>(ref start);
            if (it.ExpiresMs != 0 && it.Key.Source == First(2, ipv6: false).Source)
            {
                it.Generation++;
            }
        }

        var after = new FragmentTable(file);
        after.Adopt();

        Assert.Equal(1, after.Count);
        Assert.True(after.TryRecall(Later(First(1, ipv6: false)), 1, isLast: false, NowMs, out _));
        Assert.False(after.TryRecall(Later(First(2, ipv6: false)), 2, isLast: false, NowMs, out _));
        for (uint i = 3; i < 1_000; i++)
        {
            after.Remember(First(i, ipv6: false), i, NowMs); // no place is lost
        }

        Assert.Equal(Capacity, after.Count);
    }

    [Fact]
    public void It_says_what_a_dictionary_would_say_as_long_as_nothing_has_to_go()
    {
        var random = new Random(61);
        using FlowTables flows = FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Fragments = 65_536, Workers = 1 });
        var oracle = new Dictionary<(IpAddr, uint), (FlowTuple Tuple, long ExpiresMs)>();
        long now = NowMs;
        int found = 0;
        for (int i = 0; i < 50_000; i++)
        {
            now += random.Next(3);
            FlowTuple tuple = First((uint)random.Next(300), random.Next(2) == 0) with { SourcePort = (ushort)random.Next(1, 60_000) };
            uint id = (uint)random.Next(8);
            switch (random.Next(20))
            {
                case < 8:
                    Assert.Equal(FragmentResult.Remembered, flows.RememberFragment(tuple, id, now));
                    oracle[(tuple.Source, id)] = (tuple, now + FragmentTable.TimeoutMs);
                    break;
                case 8:
                    Sweep(flows, now, budget: 1_000); // must change nothing that can be seen
                    break;
                default:
                    bool isLast = random.Next(3) == 0;
                    bool want = oracle.TryGetValue((tuple.Source, id), out (FlowTuple Tuple, long ExpiresMs) known) && known.ExpiresMs > now;
                    bool got = flows.TryRecallFragment(Later(tuple), id, isLast, now, out FlowTuple whole);
                    Assert.True(want == got, $"step {i}: {tuple}, id {id}: found {got}, want {want}");
                    if (got)
                    {
                        found++;
                        Assert.Equal(known.Tuple, whole);
                        oracle[(tuple.Source, id)] = (known.Tuple, isLast ? now + FragmentTable.OvertakenMs : known.ExpiresMs);
                    }

                    break;
            }
        }

        Assert.True(found > 5_000, $"only {found} were found");
    }

    [Fact]
    public async Task Workers_that_write_the_same_places_never_mix_two_datagrams()
    {
        const int Workers = 4;
        using FlowTables flows = Create(); // so small that all fight for its places
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(() =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 50_000; i++)
            {
                // The ports follow from address and identification, so that a mixture shows.
                uint client = (uint)random.Next(40);
                uint id = (uint)random.Next(4);
                FlowTuple tuple = First(client, ipv6: false) with { SourcePort = (ushort)(client * 100), DestinationPort = (ushort)(id + 1) };
                if (random.Next(2) == 0)
                {
                    flows.RememberFragment(tuple, id, NowMs);
                }
                else if (flows.TryRecallFragment(Later(tuple), id, isLast: false, NowMs, out FlowTuple whole))
                {
                    Assert.Equal(tuple, whole);
                }
            }
        })));
        Assert.InRange(flows.FragmentCount, 1, Capacity);
    }

    [Fact]
    public void Both_directions_of_an_address_pair_have_one_queue()
    {
        using FlowTables flows = Create();
        FlowTuple tuple = First(1, ipv6: true);

        Assert.Equal(flows.QueueOfFragments(tuple), flows.QueueOfFragments(tuple.Reverse));
        Assert.True(Enumerable.Range(0, 100).Select(i => flows.QueueOfFragments(First((uint)i, ipv6: false)) % 2).Distinct().Count() == 2);
    }

    private static FlowTables Create() => FlowTables.CreateInMemory(new FlowCapacities { Ipv4 = 64, Ipv6 = 64, Fragments = Capacity, Workers = 1 });

    private static void Sweep(FlowTables flows, long nowMs, int budget = 100_000)
    {
        flows.Sweep(nowMs, budget);
    }

    private static FlowTuple First(uint client, bool ipv6) => FlowTuples.Original(client, protocol: IpProtocol.Udp, ipv6: ipv6);

    private static FlowTuple Later(FlowTuple first) => first with { SourcePort = 0, DestinationPort = 0 };
}
