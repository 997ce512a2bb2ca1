using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Pods that are ports of a Linux bridge, which would switch answers to a neighbour past the node (TCP and UDP, IPv4 and IPv6).
/// On node-a switched packets pass the node's rules (br_netfilter), on node-b they do not.</summary>
public abstract class BridgedTrafficTests(BridgedLabFixture fixture) : IDisposable
{
    private const string Own = LabFixture.Own;
    private const string NodeA = LabFixture.NodeA;

    /// <summary>From, service, who answers, which client address is seen.</summary>
    public static TheoryData<string, string, string, string> Paths => new()
    {
        { "client-a", "on-node-a", "web-1", Own }, // client and backend on one bridge
        { "client-b", "on-node-b", "web-3", Own },
        { "web-1", "on-node-a", "web-1", NodeA }, // hairpin
        { "client-a", "on-node-b", "web-3", Own },
        { "client-b", "on-node-a", "web-1", Own },
        { "node-a", "on-node-a", "web-1", Own },
        { "client-a", "on-host-a", "host-a", Own },
        { "client", "on-node-a", "web-1", NodeA },
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
                Attempt attempt = await Connector.OnceAsync(fixture.To(from, service, ipv6, protocol), protocol, TimeSpan.FromSeconds(10));
                fixture.AssertAnswered($"{from} to {service}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}", attempt, pod, client);
            }
        }
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a")]
    [InlineData("client-b", "on-node-b")]
    public async Task Much_data_and_large_datagrams_pass_between_neighbours(string from, string service)
    {
        foreach (bool ipv6 in (bool[])[false, true])
        {
            StreamReport report = await BulkTransfer.RunAsync(fixture.To(from, service, ipv6, 7), 5_000_000, TimeSpan.FromSeconds(30));
            Assert.Equal("", report.Failure);
            Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To(from, service, ipv6, 7), 9_000));
        }
    }

    [LabTheory]
    [InlineData("client-a", "web-1")]
    [InlineData("client-b", "web-3")]
    public async Task Neighbours_that_talk_to_each_other_directly_are_not_disturbed(string from, string pod)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                LabPod to = fixture.Topology.Pod(pod);
                int port = protocol == ConnectProtocol.Http ? LabPod.HttpPort : LabPod.EchoPort;
                Attempt attempt = await Connector.OnceAsync(
                    TrafficTarget.Of(fixture.Lab, from, ipv6 ? to.Ipv6 : to.Ipv4, port), protocol, TimeSpan.FromSeconds(10));

                Assert.True(attempt.Failure == "", $"{from} to {pod}, {protocol}, {(ipv6 ? "IPv6" : "IPv4")}: {attempt.Failure}");
                Assert.Equal(attempt.LocalAddress, attempt.Answer!.Client);
            }
        }
    }

    [LabTheory]
    [InlineData("client-a", "on-node-a", "web-1")]
    [InlineData("client-b", "on-node-b", "web-3")]
    public async Task A_segment_out_of_its_window_breaks_no_connection(string from, string service, string pod)
    {
        await OutOfWindow.LeavesConnectionAsync(fixture, fixture.To(from, service, ipv6: false, 7), pod);
        await OutOfWindow.LeavesConnectionAsync(fixture, fixture.To(from, service, ipv6: true, 7), pod);
    }

    [LabTheory, InlineData(false), InlineData(true)]
    public async Task A_neighbour_that_listens_no_more_is_heard_of(bool ipv6)
    {
        Attempt attempt = await Connector.OnceAsync(fixture.To("client-b", "closed", ipv6, 7), ConnectProtocol.Udp, TimeSpan.FromSeconds(10));

        Assert.Equal("refused", attempt.Failure);
    }
}

[Collection(BridgedLabCollection.Name)]
public sealed class BridgedTraffic_with_offloads(BridgedLabFixture fixture) : BridgedTrafficTests(fixture);

[Collection(PlainBridgedLabCollection.Name)]
public sealed class BridgedTraffic_without_offloads(PlainBridgedLabFixture fixture) : BridgedTrafficTests(fixture);
