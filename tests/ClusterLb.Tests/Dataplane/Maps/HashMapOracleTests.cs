using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>The shared-memory map against a dictionary: same answers to any sequence of operations.</summary>
public sealed class HashMapOracleTests
{
    public static TheoryData<int, int, int> Sequences
    {
        get
        {
            var rows = new TheoryData<int, int, int>();
            foreach (int seed in Enumerable.Range(1, 12))
            {
                rows.Add(seed, 1 << (seed % 6 * 2), seed % 3 == 0 ? 4 : 1); // capacities 1 to 1024; keys up to four times as many
            }

            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Sequences))]
    public void Any_sequence_of_operations_gives_the_answers_of_a_dictionary(int seed, int capacity, int keysPerPlace)
    {
        var random = new Random(seed);
        var twin = new Dictionary<ulong, ulong>();
        using var map = HashMap<ulong, ulong>.CreateAnonymous("test", capacity);

        for (int i = 0; i < 30_000; i++)
        {
            ulong key = (ulong)random.Next(capacity * keysPerPlace * 2);
            string because = $"seed {seed}, operation {i}, key {key}";
            switch (random.Next(10))
            {
                case < 5:
                    ulong value = (ulong)random.Next(3);
                    MapResult want = twin.TryGetValue(key, out ulong old) && old == value ? MapResult.Unchanged
                        : !twin.ContainsKey(key) && twin.Count == capacity ? MapResult.Full : MapResult.Ok;
                    Assert.True(want == map.Update(key, value), because);
                    if (want == MapResult.Ok)
                    {
                        twin[key] = value;
                    }

                    break;
                case < 8:
                    Assert.True((twin.Remove(key) ? MapResult.Ok : MapResult.Unchanged) == map.Delete(key), because);
                    break;
                default:
                    Assert.True(twin.TryGetValue(key, out ulong wanted) == map.TryLookup(key, out ulong got) && wanted == got, because);
                    break;
            }

            Assert.True(twin.Count == map.Count, because);
        }

        Assert.Equal(twin.OrderBy(e => e.Key), map.Entries().OrderBy(e => e.Key));
    }

    [Fact]
    public void A_map_that_is_churned_at_capacity_never_refuses_a_key_for_which_there_is_room()
    {
        const int capacity = 1 << 14;
        var random = new Random(7);
        using var map = HashMap<ulong, ulong>.CreateAnonymous("test", capacity);
        var keys = new List<ulong>();
        while (keys.Count < capacity)
        {
            keys.Add((ulong)random.NextInt64());
            Assert.Equal(MapResult.Ok, map.Update(keys[^1], 1));
        }

        for (int i = 0; i < 20 * capacity; i++)
        {
            int victim = random.Next(capacity);
            Assert.Equal(MapResult.Ok, map.Delete(keys[victim]));
            keys[victim] = (ulong)random.NextInt64();
            Assert.True(map.Update(keys[victim], 1) == MapResult.Ok, $"replacement {i}");
        }

        Assert.Equal(MapResult.Full, map.Update(ulong.MaxValue, 1));
        Assert.All(keys, key => Assert.True(map.TryLookup(key, out _)));
    }

    [Fact]
    public void A_set_has_keys_and_no_values()
    {
        using var map = HashMap<uint, NoValue>.CreateAnonymous("test", 16);
        Assert.Equal(MapResult.Ok, map.Update(1, default));
        Assert.Equal(MapResult.Unchanged, map.Update(1, default));
        Assert.True(map.TryLookup(1, out _));
        Assert.False(map.TryLookup(2, out _));
        Assert.Equal(8u, map.File.Spec.PlaceSize);
    }

    [Fact]
    public void A_lookup_allocates_nothing()
    {
        using var map = HashMap<ulong, ulong>.CreateAnonymous("test", 64);
        map.Update(1, 2);
        map.TryLookup(1, out _);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 1_000; i++)
        {
            map.TryLookup(i, out _);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
