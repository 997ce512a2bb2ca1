using System.Diagnostics;
using System.Globalization;
using ClusterLb.Agent.Admin;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.Lab.Demo;

/// <summary>`clusterlb lab demo`: sets a lab up, shows the main job on real connections, and takes the lab down.</summary>
public sealed class DemoRun
{
    /// <summary>The lab's name, unless told otherwise: not the one of `lab up`, which stays as it is.</summary>
    public const string DefaultName = "clbdemo";

    private const int Connections = 1_000;
    private const int Concurrency = 8;
    private const string Client = "client-a";
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ShortTimeout = TimeSpan.FromMilliseconds(500);

    private readonly LabCluster _lab;
    private readonly DemoScript _script;
    private readonly CancellationToken _cancel;

    private DemoRun(LabCluster lab, DemoScript script, CancellationToken cancel)
    {
        _lab = lab;
        _script = script;
        _cancel = cancel;
    }

    private AgentProcess Agent => _lab.Agent("node-a");

    private LabService Web => _lab.Topology.Service("web");

    /// <summary>Runs all of it.</summary>
    /// <param name="name">The lab's name.</param>
    /// <param name="writeLine">Where it prints.</param>
    /// <param name="cancel">Ends it early; the lab is taken down all the same.</param>
    /// <returns>True if everything was as expected.</returns>
    public static async Task<bool> RunAsync(string name, Action<string> writeLine, CancellationToken cancel)
    {
        long started = Stopwatch.GetTimestamp();
        var script = new DemoScript(writeLine);
        var options = new LabOptions { Name = name, EndsWithThisProcess = true };
        LabCluster.CheckCanBeSetUp(options); // before the first heading
        script.Step("A cluster of two nodes in network namespaces of this machine");
        using (LabCluster lab = await LabCluster.UpAsync(options, script.Say, cancel))
        {
            await new DemoRun(lab, script, cancel).PlayAsync();
            script.Step("Everything is taken down");
        }

        script.Expect(LabCluster.ExistingNamespaces(options.Name, options.Topology).Count == 0, "no namespace and no process is left");
        writeLine("");
        foreach (string surprise in script.Surprises)
        {
            writeLine(surprise);
        }

        string seconds = Stopwatch.GetElapsedTime(started).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        writeLine(script.Surprises.Count == 0
            ? $"Everything was as expected ({seconds} s)."
            : $"{script.Surprises.Count} things were not as expected ({seconds} s).");
        return script.Surprises.Count == 0;
    }

    private async Task PlayAsync()
    {
        TunCounters before = TunCounters.Read(Agent.Namespace);
        await ShowWhoAnswersAsync();
        ShowCounters(before);
        await ShowOneFlowAsync();
        await ShowOtherPathsAsync();
        await ShowItIsClusterLbAsync();
    }

    private async Task ShowWhoAnswersAsync()
    {
        _script.Step($"Who answers: {Connections:N0} connections of pod {Client} to each frontend of service default/{Web.Name}");
        string[] pods = [.. Web.Backends.Select(p => p.Name)];
        _script.Say($"{"FRONTEND",-20} {"PROTOCOL",-9}{string.Concat(pods.Select(p => $"{p,7}"))}{"FAILED",8}   {"CHI-SQUARE",-16}{"MEDIAN",12}{"99 %",12}   CLIENT ADDRESS SEEN");
        var spreads = new List<EvenSpread>();
        int answered = 0;
        int kept = 0;
        foreach (ConnectProtocol protocol in (ConnectProtocol[])[ConnectProtocol.Http, ConnectProtocol.Udp])
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                ConnectReport report = await Connector.RunAsync(
                    To(Client, Web, ipv6, protocol), protocol, Connections, Concurrency, Timeout, _cancel);
                EvenSpread spread = report.Spread(pods.Length);
                spreads.Add(spread);
                answered += report.Succeeded;
                kept += report.PortsKept;
                string counts = string.Concat(pods.Select(p => $"{report.AnsweredBy.GetValueOrDefault(p),7}"));
                string chi = $"{spread.ChiSquare:0.00} < {spread.Limit:0.00}";
                _script.Say($"{report.Target,-20} {(protocol == ConnectProtocol.Udp ? "UDP" : "TCP"),-9}{counts}{report.Connections - report.Succeeded,8}   " +
                    $"{chi,-16} {report.MedianMs,8:0.00} ms {report.P99Ms,8:0.00} ms   {string.Join(", ", report.Clients)}");
            }
        }

        _script.Expect(answered == 4 * Connections, $"all {4 * Connections:N0} connections were answered");
        _script.Expect(spreads.TrueForAll(s => s.IsEven), "evenly: chi-square is below what a fair choice exceeds at most once in 10,000 runs");
        _script.Expect(kept == answered, "every backend saw the pod's own address and port");
    }

    private void ShowCounters(TunCounters before)
    {
        _script.Step("These packets went through ClusterLb: the counters of its device clb0 on node-a");
        TunCounters moved = TunCounters.Read(Agent.Namespace).Since(before);
        _script.Say($"read by the dataplane: {moved.ReadPackets:N0} packets, {moved.ReadBytes:N0} bytes; written: {moved.WrittenPackets:N0} packets, {moved.WrittenBytes:N0} bytes");
        _script.Expect(moved.ReadPackets >= 4 * Connections, $"at least one packet for each of the {4 * Connections:N0} connections");
        _script.Expect(_lab.LeakedPackets() == 0, "no packet to a service address left a node untranslated");
    }

    private async Task ShowOneFlowAsync()
    {
        _script.Step("One connection, seen by the backend, by conntrack, and by `explain`");
        await using CheckedStream stream = await CheckedStream.StartAsync(To(Client, Web, ipv6: false, ConnectProtocol.Tcp), udp: false, Timeout);
        await stream.WaitForMoreAsync(3);
        string frontend = Web.Ipv4.WithPort(7);
        _script.Say($"{stream.Pod} answers; it sees the client address {stream.Client}");

        string[] rows = Clusterlb("bpf", "ct", "list").Output.Split('\n');
        string[] flow = [.. rows.Where(r => r.Contains(stream.Client, StringComparison.Ordinal))];
        _script.Command("clusterlb bpf ct list", string.Join('\n', [rows[0], .. flow]));
        _script.Expect(flow.Length > 0 && flow.Any(r => r.Contains(frontend, StringComparison.Ordinal)), $"conntrack knows {stream.Client} to {frontend}");

        string unused = stream.Client.Split(':')[0] + ":1024";
        ToolResult explained = Clusterlb("explain", "tcp", unused, frontend);
        _script.Command($"clusterlb explain tcp {unused} {frontend}", explained.Output + explained.Errors);
        _script.Expect(
            explained.ExitCode == 0 && Web.Backends.All(p => explained.Output.Contains($"{p.Ipv4}", StringComparison.Ordinal)),
            "explain names all four backends");
        _script.Expect((await stream.StopAsync()).Failure.Length == 0, "every byte of the connection came back as it was sent");
    }

    private async Task ShowOtherPathsAsync()
    {
        _script.Step("Other ways to a service");
        LabService onA = _lab.Topology.Service("on-node-a");
        LabNode node = Agent.Node;
        await ExpectAnswerAsync("a pod to itself through its service (hairpin)", "web-1", onA, a => AddressOf(a) == $"{node.Ipv4}", "the node's address");
        await ExpectAnswerAsync("the node itself", "node-a", onA, a => AddressOf(a) == $"{node.Ipv4}", "the node's address");
        await ExpectAnswerAsync("a pod to a backend in the host's network", Client, _lab.Topology.Service("on-host-a"), a => a.Answer!.Client == a.LocalAddress, "the pod's address");
        await ExpectAnswerAsync("a client outside the cluster", LabTopology.ClientName, onA, a => AddressOf(a) == $"{node.Ipv4}", "the node's address (masquerade)");
        LabService empty = _lab.Topology.Service("empty");
        foreach (ConnectProtocol protocol in (ConnectProtocol[])[ConnectProtocol.Http, ConnectProtocol.Udp])
        {
            Attempt refused = await Connector.OnceAsync(To(Client, empty, ipv6: false, protocol), protocol, Timeout, _cancel);
            _script.Expect(refused is { Failure: "refused", Elapsed.TotalSeconds: < 1 },
                $"a service without endpoints, {(protocol == ConnectProtocol.Udp ? "UDP" : "TCP")}: {refused.Failure} after {refused.Elapsed.TotalMilliseconds:0.0} ms");
        }
    }

    private async Task ShowItIsClusterLbAsync()
    {
        _script.Step("The dataplane is stopped, and started again");
        await using CheckedStream stream = await CheckedStream.StartAsync(To(Client, Web, ipv6: false, ConnectProtocol.Tcp), udp: false, TimeSpan.FromSeconds(20));
        using (var admin = new AdminClient(Agent.StateDirectory))
        {
            await admin.StopDataplaneAsync(_cancel);
            ConnectReport stopped = await Connector.RunAsync(
                To(Client, Web, ipv6: false, ConnectProtocol.Http), ConnectProtocol.Http, 20, 20, ShortTimeout, _cancel);
            _script.Expect(stopped.Succeeded == 0, $"stopped: of {stopped.Connections} new connections none is answered ({Words(stopped.Failures)})");

            await admin.StartDataplaneAsync(_cancel);
            await Agent.WaitUntilHealthyAsync(TimeSpan.FromSeconds(10), _cancel);
        }

        ConnectReport again = await Connector.RunAsync(
            To(Client, Web, ipv6: false, ConnectProtocol.Http), ConnectProtocol.Http, 100, Concurrency, Timeout, _cancel);
        _script.Expect(again.Succeeded == again.Connections, $"started: {again.Succeeded} of {again.Connections} new connections are answered");
        await stream.WaitForMoreAsync(3);
        StreamReport report = await stream.StopAsync();
        _script.Expect(report.Failure.Length == 0,
            $"a connection that was open before went on ({(report.Failure.Length == 0 ? "" : report.Failure + "; ")}longest silence {report.LongestGapMs:0} ms)");
    }

    private async Task ExpectAnswerAsync(string what, string from, LabService service, Func<Attempt, bool> right, string seenAs)
    {
        Attempt attempt = await Connector.OnceAsync(To(from, service, ipv6: false, ConnectProtocol.Http), ConnectProtocol.Http, Timeout, _cancel);
        bool holds = attempt.Answer?.Pod == service.Backends[0].Name && right(attempt);
        _script.Expect(holds, $"{what}: {(attempt.Answer is { } a ? $"{a.Pod} answers and sees {a.Client}, {seenAs}" : attempt.Failure)}");
    }

    private static string AddressOf(Attempt attempt) => attempt.Answer!.Client.Split(':')[0];

    private static string Words(IReadOnlyDictionary<string, int> failures) => string.Join(", ", failures.Select(f => $"{f.Value} {f.Key}"));

    private TrafficTarget To(string from, LabService service, bool ipv6, ConnectProtocol protocol) =>
        TrafficTarget.Of(_lab, from, service.ClusterIp(ipv6), protocol == ConnectProtocol.Http ? 80 : 7);

    private ToolResult Clusterlb(params IReadOnlyList<string> arguments) => Tool.Try("nsenter",
        [$"--net={Agent.Namespace.Path}", .. _lab.Program, .. arguments, "--state-dir", Agent.StateDirectory]);
}
