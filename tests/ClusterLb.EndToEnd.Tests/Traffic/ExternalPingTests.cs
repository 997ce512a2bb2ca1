using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Pings of load balancer addresses, which the lab's agents are configured to answer; of those that a node has, its kernel does.</summary>
public abstract class ExternalPingTests(ExposedLabFixture fixture) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    public static IEnumerable<object[]> Pings =>
        from row in ((string, string)[])
        [
            ("client", "cluster-a"), ("client-a", "cluster-a"), ("node-a", "cluster-a"), ("client-b", "cluster-a"),
            ("client", "local-b"), ("client", "nobody"), // the address is known, whoever serves
            ("client-a", "filtered"),
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Pings))]
    public async Task A_load_balancers_address_answers_pings_of_any_size(string from, string service, bool ipv6)
    {
        string node = from == "client-b" ? "node-b" : "node-a"; // each node answers its own pods
        ulong answered = fixture.Counters(node).AnsweredPings;

        foreach (int bytes in (int[])[56, 9_000])
        {
            Assert.True(await Ping.IsAnsweredAsync(fixture.To(from, "LoadBalancer", service, ipv6, 0), bytes, Patience), $"no answer to {bytes} bytes");
        }

        await Eventually.IsAsync("the dataplane has answered", () => fixture.Counters(node).AnsweredPings >= answered + 2);
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task A_load_balancers_address_that_the_node_has_is_answered_by_its_kernel(bool ipv6)
    {
        ulong answered = fixture.Counters("node-a").AnsweredPings;

        Assert.True(await Ping.IsAnsweredAsync(fixture.To("client", "LoadBalancer", "own-a", ipv6, 0), 56, Patience));
        Assert.True(await Ping.IsAnsweredAsync(fixture.To("client-a", "NodePort", "cluster-a", ipv6, 0), 56, Patience));

        Assert.Equal(answered, fixture.Counters("node-a").AnsweredPings);
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task Whoever_is_outside_of_the_source_ranges_gets_no_answer(bool ipv6)
    {
        ulong refused = fixture.Counters("node-a").Drops(DropReason.NotInSourceRange);

        Assert.False(await Ping.IsAnsweredAsync(fixture.To("client", "LoadBalancer", "filtered", ipv6, 0), 56, Short));

        await Eventually.IsAsync("the ping was dropped", () => fixture.Counters("node-a").Drops(DropReason.NotInSourceRange) > refused);
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task An_external_address_is_not_answered(bool ipv6)
    {
        ulong answered = fixture.Counters("node-a").AnsweredPings;

        Assert.False(await Ping.IsAnsweredAsync(fixture.To("client-a", "ExternalIP", "cluster-a", ipv6, 0), 56, Short));

        Assert.Equal(answered, fixture.Counters("node-a").AnsweredPings);
    }
}

[Collection(ExposedLabCollection.Name)]
public sealed class ExternalPing_with_offloads(ExposedLabFixture fixture) : ExternalPingTests(fixture);

[Collection(PlainExposedLabCollection.Name)]
public sealed class ExternalPing_without_offloads(PlainExposedLabFixture fixture) : ExternalPingTests(fixture);
