using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Who reaches whom through a ClusterIP, and which client address the backend sees (TCP and UDP, IPv4 and IPv6).</summary>
public abstract class ServiceTrafficTests(LabFixture fixture) : IDisposable
{
    private const string Own = LabFixture.Own;
    private const string NodeA = LabFixture.NodeA;

    /// <summary>From, service, who answers, which client address is seen.</summary>
    public static TheoryData<string, string, string, string> Paths => new()
    {
        { "client-a", "on-node-a", "web-1", Own }, // pod to local pod
        { "client-a", "on-node-b", "web-3", Own }, // pod to pod on the other node
        { "client-b", "on-node-a", "web-1", Own },
        { "node-a", "on-node-a", "web-1", Own }, // host to local and to remote pod: the node's own address, no SNAT needed
        { "node-a", "on-node-b", "web-3", Own },
        { "node-b", "on-node-a", "web-1", Own },
        { "client-a", "on-host-a", "host-a", Own }, // pod to host-network backend on the same node, and on the other
        { "client-b", "on-host-a", "host-a", Own },
        { "node-a", "on-host-a", "host-a", Own }, // host to host-network backend
        { "web-1", "on-node-a", "web-1", NodeA }, // hairpin: a pod through the service to itself
        { "client", "on-node-a", "web-1", NodeA }, // from outside the cluster: masqueraded, so that the answer comes back here
        { "client", "on-node-b", "web-3", NodeA },
    };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Paths))]
    public async Task A_service_is_answered_by_its_backend(string from, string service, string pod, string client)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                Attempt attempt = await fixture.ConnectAsync(from, service, ipv6, protocol);
                fixture.AssertAnswered($"{from} to {service}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}", attempt, pod, client);
            }
        }
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a", "web-1", false)]
    [InlineData("client-a", "on-node-b", "web-3", false)]
    [InlineData("client-a", "on-node-b", "web-3", true)]
    [InlineData("node-a", "on-node-b", "web-3", false)]
    [InlineData("node-a", "on-node-b", "web-3", true)]
    public Task A_segment_out_of_its_window_breaks_no_connection(string from, string service, string pod, bool ipv6) =>
        OutOfWindow.LeavesConnectionAsync(fixture, fixture.To(from, service, ipv6, 7), pod);

    [LabTheory]
    [InlineData(ConnectProtocol.Http, false)]
    [InlineData(ConnectProtocol.Http, true)]
    [InlineData(ConnectProtocol.Udp, false)]
    [InlineData(ConnectProtocol.Udp, true)]
    public async Task Connections_spread_evenly(ConnectProtocol protocol, bool ipv6)
    {
        ConnectReport report = await Connector.RunAsync(
            fixture.To("client-a", "web", ipv6, protocol), protocol, count: 400, concurrency: 8, LabFixture.Timeout);

        Assert.True(report.Succeeded == 400, string.Join(", ", report.Failures));
        Assert.True(report.Spread(4).IsEven, $"{string.Join(", ", report.AnsweredBy)}: {report.Spread(4)}");

        // A client port that was just used towards the same backend through another service would clash; then, and only then,
        // the node's address stands in. The kernel hands out ports at random, so this happens once in some thousand times.
        Assert.InRange(report.PortsKept, 396, 400);
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a", false)]
    [InlineData("client-a", "on-node-b", false)]
    [InlineData("client-a", "on-node-b", true)]
    [InlineData("node-a", "on-node-b", false)]
    [InlineData("web-1", "on-node-a", false)]
    [InlineData("web-1", "on-node-a", true)]
    [InlineData("client", "on-node-b", false)]
    public async Task Twenty_megabytes_come_back_as_they_were_sent(string from, string service, bool ipv6)
    {
        const long Bytes = 20_000_000;
        StreamReport report = await BulkTransfer.RunAsync(fixture.To(from, service, ipv6, 7), Bytes, TimeSpan.FromSeconds(30));

        Assert.Equal("", report.Failure);
        Assert.Equal(Bytes, report.Bytes);
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a", false)]
    [InlineData("client-a", "on-node-b", false)]
    [InlineData("client-a", "on-node-b", true)]
    [InlineData("web-1", "on-node-a", true)]
    public async Task Datagrams_sent_as_one_large_one_all_arrive(string from, string service, bool ipv6) =>
        Assert.Equal(10, await LabFixture.SendSegmentedAsync(fixture.To(from, service, ipv6, 7), segments: 10, segmentBytes: 1200));

    [LabTheory]
    [InlineData(ConnectProtocol.Http)]
    [InlineData(ConnectProtocol.Tcp)]
    [InlineData(ConnectProtocol.Udp)]
    public async Task Direct_traffic_between_pods_is_left_alone(ConnectProtocol protocol)
    {
        LabPod pod = fixture.Topology.Pod("web-3");
        int port = protocol == ConnectProtocol.Http ? LabPod.HttpPort : LabPod.EchoPort;
        foreach (IpAddr address in (IEnumerable<IpAddr>)[pod.Ipv4, pod.Ipv6])
        {
            Attempt attempt = await Connector.OnceAsync(
                TrafficTarget.Of(fixture.Lab, "client-a", address, port), protocol, LabFixture.Timeout);

            Assert.Equal("", attempt.Failure);
            Assert.Equal(attempt.LocalAddress, attempt.Answer!.Client);
        }
    }

    [LabFact]
    public async Task Packets_go_through_the_tun_device()
    {
        long before = ReceivedByTun();
        await fixture.ConnectAsync("client-a", "web", ipv6: false, ConnectProtocol.Http);

        Assert.True(ReceivedByTun() > before, "the packet counter of clb0 on node-a did not move");
    }

    private long ReceivedByTun()
    {
        string line = fixture.Lab.Namespace("node-a").ReadText("/proc/thread-self/net/dev")
            .Split('\n').Single(l => l.TrimStart().StartsWith("clb0:", StringComparison.Ordinal));
        return long.Parse(line.Split(':')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}

[Collection(LabCollection.Name)]
public sealed class ServiceTraffic_with_offloads(LabFixture fixture) : ServiceTrafficTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class ServiceTraffic_without_offloads(PlainLabFixture fixture) : ServiceTrafficTests(fixture);

[Collection(OneQueueLabCollection.Name)]
public sealed class ServiceTraffic_with_one_queue(OneQueueLabFixture fixture) : ServiceTrafficTests(fixture);
