using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Testing;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>The shared maps against their dictionary twin, through the neutral types that both planes use.</summary>
public sealed class LbMapsOracleTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_map_gives_the_answers_of_its_twin(int seed)
    {
        var random = new Random(seed);
        using var twin = new DictionaryLbMaps();
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);

        for (int i = 0; i < 4_000; i++)
        {
            uint id = (uint)random.Next(1, 200);
            Apply(random, twin.Services, maps.Services, RandomServiceKey(random), RandomService(random));
            Apply(random, twin.Backends, maps.Backends, id, new BackendEntry(RandomAddress(random), RandomPort(random), IpProtocol.Tcp, BackendState.Terminating));
            Apply(random, twin.ReverseNat, maps.ReverseNat, id, new ReverseNatEntry(RandomAddress(random), RandomPort(random), IpProtocol.Udp));
            Apply(random, twin.Serving, maps.Serving, new ServingKey(id, (uint)random.Next(5)), default);
            Apply(random, twin.Eligible, maps.Eligible, new EligibleKey(id, (LookupScope)random.Next(2), (uint)random.Next(5)), default);
            Apply(random, twin.ServicePorts, maps.ServicePorts, id, new ServicePortEntry((ulong)random.NextInt64()));
            Apply(random, twin.ServiceNames, maps.ServiceNames, id, $"namespace-{id}/name:port-{random.Next(3)}");
            Apply(random, twin.Networks, maps.Networks, RandomBlock(random), (NetworkFlags)random.Next(1, 16));
            Apply(random, twin.SourceRanges, maps.SourceRanges, new SourceRangeKey((uint)random.Next(1, 4), RandomBlock(random)), default);
            IpAddr address = RandomAddress(random);
            Assert.True(twin.IsSourceAllowed(2, address) == maps.IsSourceAllowed(2, address), $"seed {seed}, step {i}: source {address}");
            Assert.True(twin.Classify(address) == maps.Classify(address), $"seed {seed}, step {i}: {address}");
        }

        NodeEntry node = NodeEntry.Default with { PrimaryIpv4 = IpAddr.Parse("192.0.2.1"), Flags = NodeFlags.Synced };
        Apply(random, twin.Node, maps.Node, 0u, node);
        AssertSame(twin.Services, maps.Services);
        AssertSame(twin.Backends, maps.Backends);
        AssertSame(twin.ReverseNat, maps.ReverseNat);
        AssertSame(twin.Serving, maps.Serving);
        AssertSame(twin.Eligible, maps.Eligible);
        AssertSame(twin.ServicePorts, maps.ServicePorts);
        AssertSame(twin.ServiceNames, maps.ServiceNames);
        AssertSame(twin.Networks, maps.Networks);
        AssertSame(twin.SourceRanges, maps.SourceRanges);
        AssertSame(twin.Node, maps.Node);
    }

    [Fact]
    public void An_address_is_the_union_of_all_blocks_that_contain_it_and_only_of_these()
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        maps.Networks.Update(IpPrefix.Parse("0.0.0.0/0"), NetworkFlags.PodRange);
        maps.Networks.Update(IpPrefix.Parse("10.96.0.0/12"), NetworkFlags.ServiceRange);
        maps.Networks.Update(IpPrefix.Parse("10.96.0.1/32"), NetworkFlags.NodeAddress);
        maps.Networks.Update(IpPrefix.Parse("fd00::/8"), NetworkFlags.ServiceRange);
        maps.Networks.Update(IpPrefix.Parse("fd00::1/128"), NetworkFlags.NodeAddress);

        Assert.Equal(NetworkFlags.PodRange | NetworkFlags.ServiceRange | NetworkFlags.NodeAddress, maps.Classify(IpAddr.Parse("10.96.0.1")));
        Assert.Equal(NetworkFlags.PodRange | NetworkFlags.ServiceRange, maps.Classify(IpAddr.Parse("10.96.0.2")));
        Assert.Equal(NetworkFlags.PodRange, maps.Classify(IpAddr.Parse("192.0.2.1")));
        Assert.Equal(NetworkFlags.ServiceRange | NetworkFlags.NodeAddress, maps.Classify(IpAddr.Parse("fd00::1")));
        Assert.Equal(NetworkFlags.None, maps.Classify(IpAddr.Parse("2001:db8::1")));

        maps.Networks.Delete(IpPrefix.Parse("10.96.0.0/12"));
        Assert.Equal(NetworkFlags.PodRange, maps.Classify(IpAddr.Parse("10.96.0.2")));
    }

    [Fact]
    public void A_service_name_that_is_too_long_is_cut_at_a_character()
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        maps.ServiceNames.Update(1, new string('ä', 200));

        Assert.True(maps.ServiceNames.TryLookup(1, out string name));
        Assert.Equal(new string('ä', 123), name);
    }

    private static void Apply<TKey, TEntry>(
        Random random, ILbMap<TKey, TEntry> twin, ILbMap<TKey, TEntry> map, TKey key, TEntry entry)
        where TKey : notnull
    {
        if (random.Next(3) != 0)
        {
            Assert.Equal(twin.Update(key, entry), map.Update(key, entry));
        }
        else
        {
            Assert.Equal(twin.Delete(key), map.Delete(key));
        }

        Assert.Equal(twin.TryLookup(key, out TEntry want), map.TryLookup(key, out TEntry got));
        Assert.Equal(want, got);
        Assert.Equal(twin.Count, map.Count);
    }

    private static void AssertSame<TKey, TEntry>(DictionaryMap<TKey, TEntry> twin, ILbMap<TKey, TEntry> map)
        where TKey : notnull
    {
        Assert.Equal(twin.Name, map.Name);
        Assert.Equal(twin.Entries().ToDictionary(), map.Entries().ToDictionary());
    }

    private static ServiceKey RandomServiceKey(Random random) => new(
        RandomAddress(random), (ushort)random.Next(80, 83), IpProtocol.Tcp, (LookupScope)random.Next(2), (uint)random.Next(4));

    private static ServiceEntry RandomService(Random random) => new()
    {
        BackendId = (uint)random.Next(),
        Count = (uint)random.Next(3),
        RevNatId = (uint)random.Next(),
        ServicePortId = (uint)random.Next(),
        Flags = (ServiceFlags)random.Next(256),
    };

    private static IpPrefix RandomBlock(Random random)
    {
        IpAddr address = RandomAddress(random);
        return new IpPrefix(address, random.Next(address.BitLength - 10, address.BitLength + 1));
    }

    private static IpAddr RandomAddress(Random random) =>
        IpAddr.Parse(random.Next(2) == 0 ? $"10.0.0.{random.Next(40)}" : $"fd00::{random.Next(40):x}");

    private static ushort RandomPort(Random random) => (ushort)random.Next(65_536);
}
