using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>A service is as many hops away as its backend is, and who drops a packet in between is heard of.</summary>
public abstract class HopTests(LabFixture fixture)
{
    /// <summary>From, service, its backend, and how many routers are between the two.</summary>
    public static IEnumerable<object[]> Paths =>
        from row in ((string, string, string, short)[])
        [
            ("client-a", "on-node-a", "web-1", 1),
            ("client-a", "on-node-b", "web-3", 2),
            ("node-a", "on-node-a", "web-1", 0),
            ("node-a", "on-node-b", "web-3", 1),
            ("client-a", "on-host-a", "host-a", 1), // directly 0: the way to the device is one that is routed, whoever is behind it
            ("client", "on-node-b", "web-3", 3), // its router, node-a, node-b; directly it would not come by node-a
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, row.Item3, row.Item4, ipv6 };

    [LabTheory, MemberData(nameof(Paths))]
    public async Task A_packet_needs_as_many_hops_to_a_service_as_to_its_backend(string from, string service, string pod, short routers, bool ipv6)
    {
        TrafficTarget throughService = fixture.To(from, service, ipv6, 7);
        IpAddr address = ipv6 ? fixture.Topology.Pod(pod).Ipv6 : fixture.Topology.Pod(pod).Ipv4;
        TrafficTarget direct = TrafficTarget.Of(fixture.Lab, from, address, LabPod.EchoPort);

        int needed = await LeastTtl.OfAsync(throughService);
        if (from != LabTopology.ClientName && pod != "host-a")
        {
            Assert.Equal(await LeastTtl.OfAsync(direct), needed);
        }

        Assert.Equal(routers + 1, needed);
    }
}

[Collection(LabCollection.Name)]
public sealed class Hops_with_offloads(LabFixture fixture) : HopTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class Hops_without_offloads(PlainLabFixture fixture) : HopTests(fixture);
