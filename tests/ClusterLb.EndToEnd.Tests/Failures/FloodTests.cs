using System.Diagnostics;
using System.Globalization;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Pipeline;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Demo;
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
    private const string Node = "node-a"; // where the clients are, and where the flood arrives

    // So many at once, and more as long as the device's queue takes all but a few of them.
    private const int LeastBlock = 1;
    private const int MostBlock = 500;
    private const int MoreInABlock = 4;
    private const int MostDropped = 20; // one in so many

    // The forged packets are made on the same two cores, each of them begins a flow, which costs more than a packet of one, and where a queue
    // is full, TCP waits for a timer.
    private const double CostOfForged = 10;

    // That timer doubles: only over a while one connection is like another.
    private const double LongEnoughSeconds = 10;
    private const double Unevenness = 10;

    // Of each connection, a question so seldom that all of them together leave the machine something to do.
    private const int LeastPauseMs = 20;
    private const int ConnectionsPerMs = 4;

    private static readonly TimeSpan LongestFlood = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [LabFact]
    public async Task A_flood_of_SYNs_and_one_of_datagrams_fill_the_table_no_established_connection_is_lost_or_slower_than_its_share()
    {
        // What is answered to nobody goes to the client, which is no router: nobody sends errors about it.
        fixture.Exec(LabTopology.SwitchName, "ip", "route", "replace", ForgedPackets.Sources, "via", LabTopology.ClientIpv4.ToString());

        int connections = Number("CLUSTERLB_FLOOD_CONNECTIONS", DefaultConnections);
        int packets = Number("CLUSTERLB_FLOOD_PACKETS", DefaultPackets);
        TimeSpan pause = TimeSpan.FromMilliseconds(Math.Max(LeastPauseMs, connections / ConnectionsPerMs));
        var streams = new List<CheckedStream>();
        for (int i = 0; i < connections; i++)
        {
            TrafficTarget target = fixture.To(i % 2 == 0 ? "client-a" : Node, "web", ipv6: i % 5 == 0, 7);
            streams.Add(await CheckedStream.StartAsync(target, udp: IsUdp(i), Patience, pause));
        }

        await GoOnAsync(streams, 20);
        string[] pods = [.. streams.Select(stream => stream.Pod)];
        FloodPhase quiet = await PhaseAsync("nothing else", streams, () => GoOnAsync(streams, 40));

        string vip = fixture.Topology.Service("web").ClusterIp(ipv6: false).ToString();
        FloodPhase syns = await PhaseAsync("SYNs", streams, () => FloodAsync(Packet.Tcp("100.64.0.1:1", $"{vip}:7").Syn(), packets / 2));
        FloodPhase datagrams = await PhaseAsync("datagrams", streams, () => FloodAsync(Packet.Udp("100.64.0.1:1", $"{vip}:7").Payload("forged"), packets / 2));

        for (int i = 0; i < 20; i++)
        {
            Attempt attempt = await Connector.OnceAsync(fixture.To("client-a", "web", ipv6: false, 7), ConnectProtocol.Tcp, Patience);
            Assert.True(attempt.Failure.Length == 0, $"a new connection after the flood: {attempt.Failure}");
        }

        await GoOnAsync(streams, 20);
        for (int i = 0; i < streams.Count; i++)
        {
            StreamReport report = await streams[i].StopAsync();
            Assert.True(report.Failure.Length == 0, $"{report.Client} to {report.Pod}: {report.Failure} after {report.Exchanges} exchanges");
            Assert.True(report.Pod == pods[i], $"{report.Client}: a flow by UDP was lost, for it went from {pods[i]} to {report.Pod}");
        }

        foreach (FloodPhase flood in (FloodPhase[])[syns, datagrams])
        {
            double share = flood.ForgedShareBy(quiet);
            output.WriteLine($"{flood.What}: {100 * share:0} % of the packets were forged, {100 * flood.ExchangesPerSecond / quiet.ExchangesPerSecond:0} % of the exchanges were left");
            Assert.True(flood.Evicted > 0, $"the table was never full: {flood}");
            Assert.True(
                flood.ExchangesPerSecond >= quiet.ExchangesPerSecond * (1 - share) / CostOfForged,
                $"connections are slower than the flood's share of {100 * share:0} % explains: {quiet}; {flood}");
            Assert.True(
                flood.Seconds < LongEnoughSeconds || flood.Exchanges.Min() >= flood.Exchanges.Average() / Unevenness, $"one connection pays for all: {flood}");
        }

        Assert.Contains("flows that never came to anything forgotten early", fixture.Clusterlb(Node, "status").Output, StringComparison.Ordinal);
        await Eventually.IsAsync("the log tells", () => fixture.Lab.Agent(Node).LogTail(200).Contains("FlowsForgottenEarly", StringComparison.Ordinal));
        fixture.AssertNoDamage();
    }

    private static bool IsUdp(int connection) => connection % 10 == 9;

    private async Task<FloodPhase> PhaseAsync(string what, List<CheckedStream> streams, Func<Task> happen)
    {
        FloodPhase phase = await FloodPhase.OfAsync(what, fixture, Node, streams, happen);
        output.WriteLine(phase.ToString());
        return phase;
    }

    private static Task GoOnAsync(List<CheckedStream> streams, int exchanges) =>
        Task.WhenAll(streams.Select(stream => stream.WaitForMoreAsync(exchanges))).WaitAsync(LongestFlood);

    /// <summary>As much as the dataplane can take, and a little more, until so many have arrived.</summary>
    /// <remarks>Not as much as can be sent: what is too much is dropped where nobody knows yet whose it is, and shows nothing but that.</remarks>
    private Task FloodAsync(byte[] packet, int flows) => Task.Run(async () =>
    {
        using var forged = new ForgedPackets(fixture.Lab.Namespace(LabTopology.ClientName), packet);
        ulong goal = Arrived() + (ulong)flows;
        long started = Stopwatch.GetTimestamp();
        int block = LeastBlock;
        int agent = fixture.Lab.Agent(Node).ProcessId;
        long dropped = TunCounters.Read(agent).DroppedPackets;
        while (Arrived() is var arrived && arrived < goal)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < LongestFlood, $"{goal - arrived} of {flows} forged packets have not arrived");
            forged.Send(block);
            await Task.Delay(1);
            long before = dropped;
            dropped = TunCounters.Read(agent).DroppedPackets;
            block = dropped - before > block / MostDropped ? Math.Max(LeastBlock, block / 2) : Math.Min(MostBlock, block + MoreInABlock);
        }
    });

    private ulong Arrived()
    {
        PipelineCounters counters = fixture.Counters(Node);
        return counters.NewFlows + counters.Drops(DropReason.ConntrackFull) + counters.Drops(DropReason.SnatPortsExhausted);
    }

    private static int Number(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : usual;
}
