using ClusterLb.ControlPlane.Compiler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.ControlPlane.Compiler;

/// <summary>What NSDI 2016, section 3.4, promises.</summary>
public sealed class MaglevTableTests
{
    public static TheoryData<int> Sizes => [.. LbMapCapacities.MaglevTableSizes];

    [Theory, MemberData(nameof(Sizes))]
    public void Shares_differ_by_one_slot_at_most(int size)
    {
        int[] shares = [.. Table(size, Backends(7)).CountBy(id => id).Select(pair => pair.Value)];

        Assert.Equal((7, size), (shares.Length, shares.Sum()));
        Assert.InRange(shares.Max() - shares.Min(), 0, 1);
    }

    [Fact]
    public void When_one_of_a_hundred_backends_goes_one_percent_of_the_other_slots_moves_at_most()
    {
        int size = new LbMapCapacities().MaglevTableSize;
        List<(BackendKey Key, uint Id)> all = Backends(100);
        uint[] before = Table(size, all);
        int worst = 0;
        for (int gone = 0; gone < 100; gone += 9)
        {
            uint[] after = Table(size, [.. all.Where((_, i) => i != gone)]);
            uint id = all[gone].Id;
            int others = before.Count(owner => owner != id);
            int moved = Enumerable.Range(0, size).Count(slot => before[slot] != id && before[slot] != after[slot]);
            worst = Math.Max(worst, moved * 10_000 / others);
        }

        Assert.True(worst <= 100, $"{worst / 100.0} % of the other slots moved");
    }

    [Fact]
    public void The_order_of_the_backends_and_their_ids_do_not_matter()
    {
        List<(BackendKey Key, uint Id)> backends = Backends(9);
        uint[] here = Table(4_093, backends);
        uint[] there = Table(4_093, [.. backends.AsEnumerable().Reverse().Select(b => (b.Key, b.Id + 500))]);

        Assert.Equal(here, there.Select(id => id - 500));
    }

    [Fact]
    public void Another_seed_gives_another_table()
    {
        var other = new uint[1_021];
        MaglevTable.Fill(other, Backends(9), new MaglevSeed(1, 2));

        Assert.NotEqual(Table(1_021, Backends(9)), other);
    }

    [Fact]
    public void More_backends_than_slots_are_no_harm()
    {
        Assert.Equal(251, Table(251, Backends(1_000)).Distinct().Count());
    }

    [Fact]
    public void A_seed_is_twelve_bytes_of_base64()
    {
        Assert.True(MaglevSeed.TryParse("JLfvgnHc2kaSUFaI", out MaglevSeed seed));
        Assert.Equal("JLfvgnHc2kaSUFaI", seed.ToString());
        Assert.False(MaglevSeed.TryParse("JLfvgnHc2kaSUFa", out _));
        Assert.False(MaglevSeed.TryParse("JLfvgnHc2kaSUFaIAAAA", out _));
        Assert.False(MaglevSeed.TryParse("", out _));
    }

    private static uint[] Table(int size, List<(BackendKey Key, uint Id)> backends)
    {
        var table = new uint[size];
        MaglevTable.Fill(table, backends, MaglevSeed.Default);
        return table;
    }

    private static List<(BackendKey Key, uint Id)> Backends(int count) =>
        [.. Enumerable.Range(1, count).Select(i => (new BackendKey(IpAddr.FromIpv4(0x0AF4_0100 + (uint)i), 8080, IpProtocol.Tcp), (uint)i))];
}
