using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Testing;
using static ClusterLb.Testing.Objects;

namespace ClusterLb.Tests.ControlPlane.Reconciler;

/// <summary>The cost of a change follows the change, never how much there is.</summary>
public sealed class WriteCountTests
{
    public static TheoryData<int> Sizes => [1, 100, 10_000];

    [Theory, MemberData(nameof(Sizes))]
    public void A_backend_that_comes_costs_its_own_entries_and_one_head(int services)
    {
        // backend, serving, slot, head with the new count
        Assert.Equal(4, WritesOf(services, Slice("s0", "1", "http:8080/TCP", Pods(0, 6))));
    }

    [Theory, MemberData(nameof(Sizes))]
    public void A_backend_that_goes_costs_its_own_entries_two_slots_and_one_head(int services)
    {
        // last slot into the hole, head, last slot away, serving, revision, backend
        Backend[] pods = Pods(0, 5);
        Assert.Equal(6, WritesOf(services, Slice("s0", "1", "http:8080/TCP", pods[0], pods[2], pods[3], pods[4])));
    }

    [Theory, MemberData(nameof(Sizes))]
    public void A_backend_that_is_replaced_costs_one_slot_and_no_head(int services)
    {
        // new backend, its serving; one slot; old serving, revision, old backend
        Backend[] pods = Pods(0, 6);
        Assert.Equal(6, WritesOf(services, Slice("s0", "1", "http:8080/TCP", pods[0], pods[5], pods[2], pods[3], pods[4])));
    }

    [Theory, MemberData(nameof(Sizes))]
    public void An_object_that_says_the_same_again_costs_nothing(int services)
    {
        Assert.Equal(0, WritesOf(services, Slice("s0", "1", "http:8080/TCP", Pods(0, 5))));
    }

    private static int WritesOf(int services, BackendSlice change)
    {
        var store = new ClusterStateStore("node-a");
        for (int i = 0; i < services; i++)
        {
            store.Put(Service($"s{i}", $"10.{96 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}", "http:80/TCP"));
            store.Put(Slice($"s{i}", "1", "http:8080/TCP", Pods(i, 5)));
        }

        store.SourceComplete();
        using var maps = new DictionaryLbMaps();
        using var loop = new ReconcileLoop(store, maps);
        loop.SyncNow();
        Assert.Equal(services * 5, maps.Backends.Count);

        int before = maps.Writes;
        store.Put(change);
        loop.SyncNow();
        Assert.Empty(MapReader.Faults(maps));
        return maps.Writes - before;
    }

    private static Backend[] Pods(int service, int count) =>
        [.. Enumerable.Range(1, count).Select(n => Ready($"10.{128 + (service >> 12)}.{(service >> 4) & 255}.{((service & 15) * 16) + n}"))];
}
