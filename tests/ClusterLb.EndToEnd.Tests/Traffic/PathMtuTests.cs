using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Links that are narrower than both ends think: "packet too big" must reach the right end, about the right flow.</summary>
/// <remarks>A transfer of 200 KB in both directions hangs for ever if one such message is lost or names the wrong addresses.</remarks>
public abstract class PathMtuTests(LabFixture fixture) : IDisposable
{
    private const long Bytes = 200_000;

    /// <summary>From, service, and the pod whose link is narrow, on the node that sends the message.</summary>
    public static IEnumerable<object[]> Cases =>
        from row in ((string, string, string)[])
        [
            ("client-a", "on-node-a", "web-1"), // this node, about packets that ClusterLb sent to the backend
            ("client-a", "on-node-b", "web-3"), // the backend's node
            ("client-a", "on-node-b", "client-a"), // this node, about the answer from service address to client
            ("web-1", "on-node-a", "web-1"), // hairpin: both at once, and masqueraded
            ("node-a", "on-node-b", "web-3"),
            ("client", "on-node-b", "web-3"), // the backend's node, to the masquerade address
        ]
        from ipv6 in (bool[])[false, true]
        select new object[] { row.Item1, row.Item2, row.Item3, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Cases))]
    public async Task A_narrow_link_is_found_out(string from, string service, string narrow, bool ipv6)
    {
        ulong before = fixture.Counters("node-a").TranslatedErrors;
        using var path = NarrowPath.ToPod(fixture, narrow, ipv6);

        StreamReport report = await BulkTransfer.RunAsync(fixture.To(from, service, ipv6, 7), Bytes, TimeSpan.FromSeconds(20));

        Assert.Equal("", report.Failure);
        Assert.Equal(Bytes, report.Bytes);
        Assert.True(fixture.Counters("node-a").TranslatedErrors > before, "no error was translated: nothing was narrow");
        if (narrow != from)
        {
            // The client's kernel has learned it about the address it dialled, which is the service's.
            string learned = fixture.Exec(from, "ip", "route", "get", $"{fixture.Topology.Service(service).ClusterIp(ipv6)}");
            Assert.Contains($"mtu {NarrowPath.Mtu}", learned, StringComparison.Ordinal);
        }
    }
}

[Collection(LabCollection.Name)]
public sealed class PathMtu_with_offloads(LabFixture fixture) : PathMtuTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class PathMtu_without_offloads(PlainLabFixture fixture) : PathMtuTests(fixture);
