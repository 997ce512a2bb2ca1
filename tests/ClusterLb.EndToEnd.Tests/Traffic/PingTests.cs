using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Pings of ClusterIPs, which the lab's agents are configured to answer.</summary>
public abstract class PingTests(LabFixture fixture) : IDisposable
{
    public static IEnumerable<object[]> Pings =>
        from row in ((string, string)[])[("client-a", "web"), ("node-a", "web"), ("client", "web"), ("client-a", "empty")]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Pings))]
    public async Task A_service_address_answers_pings_of_any_size(string from, string service, bool ipv6)
    {
        foreach (int bytes in (int[])[56, 9_000])
        {
            Assert.True(await Ping.IsAnsweredAsync(fixture.To(from, service, ipv6, 0), bytes, TimeSpan.FromSeconds(20)), $"no answer to {bytes} bytes");
        }
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task The_addresses_of_nodes_and_of_nobody_are_left_alone(bool ipv6)
    {
        ulong unknown = fixture.Counters("node-a").Drops(DropReason.UnknownServiceAddress);
        ulong answered = fixture.Counters("node-a").AnsweredPings;
        IpAddr node = ipv6 ? fixture.Topology.Node("node-a").Ipv6 : fixture.Topology.Node("node-a").Ipv4;

        Assert.True(await Ping.IsAnsweredAsync(TrafficTarget.Of(fixture.Lab, "client-a", node, 0), 56, TimeSpan.FromSeconds(20)));
        Assert.False(await Ping.IsAnsweredAsync(TrafficTarget.Of(fixture.Lab, "client-a", IpAddr.Parse(ipv6 ? "fd10:96::77" : "10.96.0.77"), 0), 56, TimeSpan.FromMilliseconds(300)));

        await Eventually.IsAsync("the other one was dropped", () => fixture.Counters("node-a").Drops(DropReason.UnknownServiceAddress) > unknown);
        Assert.Equal(answered, fixture.Counters("node-a").AnsweredPings); // the node answers itself
    }
}

[Collection(LabCollection.Name)]
public sealed class Ping_with_offloads(LabFixture fixture) : PingTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class Ping_without_offloads(PlainLabFixture fixture) : PingTests(fixture);

[Collection(OneQueueLabCollection.Name)]
public sealed class Ping_with_one_queue(OneQueueLabFixture fixture) : PingTests(fixture);
