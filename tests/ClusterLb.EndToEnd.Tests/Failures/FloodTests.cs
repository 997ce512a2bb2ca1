using System.Diagnostics;
using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Failures;

/// <summary>
/// Floods of forged packets on real links, while connections carry data that is checked. CLUSTERLB_FLOOD_PACKETS and
/// CLUSTERLB_FLOOD_CONNECTIONS say how many; <c>make soak</c> asks for millions and a thousand.
/// </summary>
public sealed class FloodTests(FloodedLabFixture fixture, ITestOutputHelper output) : IClassFixture<FloodedLabFixture>
{
    private const int DefaultPackets = 40_000;
    private const int DefaultConnections = 30;
    private const int BlockOfPackets = 500;
    private static readonly TimeSpan LongestFlood = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [LabFact]
    public async Task A_flood_of_SYNs_and_datagrams_fills_the_table_and_no_established_connection_is_lost()
    {
        // What is answered to nobody goes to the client, which is no router: nobody sends errors about it.
        fixture.Exec(LabTopology.SwitchName, "ip", "route", "replace", "198.18.0.0/15", "via", LabTopology.ClientIpv4.ToString());

        int connections = Number("CLUSTERLB_FLOOD_CONNECTIONS", DefaultConnections);
        int packets = Number("CLUSTERLB_FLOOD_PACKETS", DefaultPackets);
        var streams = new List<CheckedStream>();
        for (int i = 0; i < connections; i++)
        {
            streams.Add(await CheckedStream.StartAsync(fixture.To(i % 2 == 0 ? "client-a" : "client-b", "web", ipv6: i % 5 == 0, 7), udp: i % 10 == 9, Patience));
        }

        await Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(20)));
        double quietMs = streams.Max(stream => stream.TakeLongestGapMs());

        string vip = fixture.Topology.Service("web").ClusterIp(ipv6: false).ToString();
        byte[] syn = Packet.Tcp("198.18.0.1:1", $"{vip}:7").Syn();
        byte[] datagram = Packet.Udp("198.18.0.1:1", $"{vip}:7").Payload("forged");
        await Task.WhenAll(Flood(syn, packets / 2), Flood(datagram, packets / 2));

        double floodedMs = streams.Max(stream => stream.TakeLongestGapMs());
        for (int i = 0; i < 20; i++)
        {
            Attempt attempt = await Connector.OnceAsync(fixture.To("client-a", "web", ipv6: false, 7), ConnectProtocol.Tcp, Patience);
            Assert.True(attempt.Failure.Length == 0, $"a new connection after the flood: {attempt.Failure}");
        }

        await Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(20)));
        foreach (CheckedStream stream in streams)
        {
            StreamReport report = await stream.StopAsync();
            Assert.True(report.Failure.Length == 0, $"{report.Client} to {report.Pod}: {report.Failure} after {report.Exchanges} exchanges");
        }

        PipelineCounters counters = fixture.Counters("node-a");
        output.WriteLine(
            $"{packets} forged packets beside {connections} connections, longest silence {quietMs:0} ms before and {floodedMs:0} ms in the flood; "
            + $"{counters.NewFlows} flows, {counters.EvictedFlows} forgotten early, {counters.Drops(DropReason.ConntrackFull)} refused");
        Assert.True(counters.EvictedFlows > 0, "the table was never full");
        Assert.Contains("flows that never came to anything forgotten early", fixture.Clusterlb("node-a", "status").Output);
        fixture.AssertNoDamage();
    }

    /// <summary>Until so many have begun a flow on the sender's node: of what comes too fast links drop most.</summary>
    private Task Flood(byte[] packet, int flows) => Task.Run(async () =>
    {
        using var forged = new ForgedPackets(fixture.Lab.Namespace(LabTopology.ClientName), packet);
        PipelineCounters before = fixture.Counters("node-a");
        long started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < LongestFlood && fixture.Counters("node-a") is var now
            && now.NewFlows + now.Drops(DropReason.SnatPortsExhausted) + now.Drops(DropReason.ConntrackFull) - before.NewFlows < (ulong)flows)
        {
            forged.Send(BlockOfPackets);
            await Task.Delay(1);
        }
    });

    private static int Number(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : usual;
}
