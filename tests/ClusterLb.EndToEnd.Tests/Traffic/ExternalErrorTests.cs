using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>ICMP errors, hops and fragments at node ports, load balancer and external addresses.</summary>
public abstract class ExternalErrorTests(ExposedLabFixture fixture) : IDisposable
{
    private static readonly string[] Kinds = ["NodePort", "LoadBalancer"]; // an external address takes the way of a load balancer's

    /// <summary>From, service, and whose link is narrow; by the ways in.</summary>
    public static IEnumerable<object[]> NarrowLinks =>
        from kind in (string[])[.. Kinds, "ExternalIP"]
        from row in ((string, string, string)[])
        [
            ("client", "cluster-a", "web-1"), // this node, about packets that ClusterLb sent to the backend, masqueraded
            ("client", "cluster-b", "web-3"), // the backend's node, to the masquerade address
            ("client", "local-a", "web-1"), // this node, with the client's own address
            ("client", "cluster-b", "client"), // a router on the client's way, about the answer; the sender is behind the masquerade
            ("client", "local-a", "client"),
            ("client", "local-host-a", "client"), // the sender is this node itself
            ("client-a", "cluster-b", "client-a"), // this node, about the answer from service address to client
        ]
        where Kinds.Contains(kind) || row is ("client", "cluster-b", "web-3")
        from ipv6 in (bool[])[false, true]
        select new object[] { kind, row.Item1, row.Item2, row.Item3, ipv6 };

    /// <summary>From, service, and how many routers are between client and backend; by the ways in.</summary>
    public static IEnumerable<object[]> Hops =>
        from kind in (string[])[.. Kinds, "ExternalIP"]
        from row in ((string, string, short)[])
        [
            ("client", "cluster-a", 2), // its router, and node-a
            ("client", "cluster-b", 3), // and node-b
            ("client", "local-a", 2),
            ("client", "local-host-a", 2), // the way to the device is one that is routed, whoever is behind it
            ("client-a", "cluster-b", 2),
            ("node-a", "cluster-b", 1),
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { kind, row.Item1, row.Item2, row.Item3, ipv6 };

    /// <summary>From and service, by the ways in.</summary>
    public static IEnumerable<object[]> Datagrams =>
        from kind in Kinds
        from row in ((string, string)[])
        [
            ("client", "cluster-a"), ("client", "cluster-b"), ("client", "local-a"), ("client", "local-host-a"), ("client", "cluster-host-a"),
            ("client-a", "cluster-b"), ("client-a", "local-a"), ("web-1", "cluster-a"), ("node-a", "cluster-b"),
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { kind, row.Item1, row.Item2, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(NarrowLinks))]
    public async Task A_narrow_link_is_found_out(string kind, string from, string service, string narrow, bool ipv6)
    {
        const long Bytes = 200_000;
        ulong before = fixture.Counters("node-a").TranslatedErrors;
        using NarrowPath path = narrow == "client" ? NarrowPath.ToClient(fixture, ipv6) : NarrowPath.ToPod(fixture, narrow, ipv6);

        StreamReport report = await BulkTransfer.RunAsync(fixture.To(from, kind, service, ipv6, 7), Bytes, TimeSpan.FromSeconds(20));

        Assert.Equal("", report.Failure);
        Assert.Equal(Bytes, report.Bytes);
        Assert.True(fixture.Counters("node-a").TranslatedErrors > before, "no error was translated: nothing was narrow");
        if (narrow != from)
        {
            // The client's kernel has learned it about the address it dialled.
            string learned = fixture.Exec(from, "ip", "route", "get", $"{fixture.AddressOf(kind, service, ipv6)}");
            Assert.Contains($"mtu {NarrowPath.Mtu}", learned, StringComparison.Ordinal);
        }
    }

    [LabTheory, MemberData(nameof(Hops))]
    public async Task A_packet_needs_as_many_hops_as_there_are_routers(string kind, string from, string service, short routers, bool ipv6) =>
        Assert.Equal(routers + 1, await LeastTtl.OfAsync(fixture.To(from, kind, service, ipv6, 7)));

    [LabTheory, MemberData(nameof(Datagrams))]
    public async Task Large_datagrams_go_up_and_down(string kind, string from, string service, bool ipv6)
    {
        ulong dropped = fixture.Counters("node-a").Drops(DropReason.FragmentWithoutFirst);
        foreach (int bytes in (int[])[9_000, 30_000])
        {
            Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To(from, kind, service, ipv6, 7), bytes));
        }

        Assert.Equal(dropped, fixture.Counters("node-a").Drops(DropReason.FragmentWithoutFirst));
    }

    [LabTheory]
    [InlineData("client")]
    [InlineData("client-a")]
    [InlineData("node-a")]
    public async Task A_backend_that_listens_no_more_is_heard_of_at_once(string from)
    {
        foreach (string kind in Kinds)
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                Attempt attempt = await Connector.OnceAsync(fixture.To(from, kind, "closed-b", ipv6, 7), ConnectProtocol.Udp, TimeSpan.FromSeconds(10));

                Assert.True(attempt.Failure == "refused", $"{from} to {kind}, {(ipv6 ? "IPv6" : "IPv4")}: {attempt.Failure}");
            }
        }
    }
}

[Collection(ExposedLabCollection.Name)]
public sealed class ExternalErrors_with_offloads(ExposedLabFixture fixture) : ExternalErrorTests(fixture);

[Collection(PlainExposedLabCollection.Name)]
public sealed class ExternalErrors_without_offloads(PlainExposedLabFixture fixture) : ExternalErrorTests(fixture);
