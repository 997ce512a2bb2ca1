using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Datagrams of 9000 and 30000 bytes over links of 1500, through ClusterIPs, up and down.</summary>
public abstract class FragmentTrafficTests(LabFixture fixture) : IDisposable
{
    public static IEnumerable<object[]> Paths =>
        from row in ((string, string)[])
        [
            ("client-a", "on-node-a"), ("client-a", "on-node-b"), ("client-b", "on-node-a"), ("client-a", "on-host-a"),
            ("node-a", "on-node-a"), ("node-a", "on-node-b"), ("node-a", "on-host-a"),
            ("web-1", "on-node-a"), // hairpin
            ("client", "on-node-a"), ("client", "on-node-b"), // masqueraded
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Paths))]
    public async Task Large_datagrams_go_up_and_down(string from, string service, bool ipv6)
    {
        string node = from.EndsWith("-b", StringComparison.Ordinal) ? "node-b" : "node-a";
        ulong translated = fixture.Counters(node).Fragments;
        ulong dropped = fixture.Counters(node).Drops(DropReason.FragmentWithoutFirst);

        Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To(from, service, ipv6, 7), 9_000));
        Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To(from, service, ipv6, 7), 30_000));

        Assert.True(fixture.Counters(node).Fragments >= translated + (2 * (7 + 21)), "not all fragments were translated");
        Assert.Equal(dropped, fixture.Counters(node).Drops(DropReason.FragmentWithoutFirst));
    }
}

[Collection(LabCollection.Name)]
public sealed class FragmentTraffic_with_offloads(LabFixture fixture) : FragmentTrafficTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class FragmentTraffic_without_offloads(PlainLabFixture fixture) : FragmentTrafficTests(fixture);

[Collection(OneQueueLabCollection.Name)]
public sealed class FragmentTraffic_with_one_queue(OneQueueLabFixture fixture) : FragmentTrafficTests(fixture);
