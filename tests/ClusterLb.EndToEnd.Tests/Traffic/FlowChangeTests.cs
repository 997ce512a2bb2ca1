using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Conntrack;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using Xunit.Abstractions;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>What flows do when their backend terminates, leaves or dies: real sockets, both families, all ways in.</summary>
[Collection(FlowLabCollection.Name)]
public sealed class FlowChangeTests(FlowLabFixture fixture, ITestOutputHelper output) : IDisposable
{
    private const string Policy = "clusterlb.io/on-backend-gone";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly (string From, string Kind)[] WaysIn =
        [("client-a", "ClusterIP"), ("node-a", "ClusterIP"), ("client", "NodePort"), ("client", "LoadBalancer"), ("client", "ExternalIP")];

    public void Dispose() => fixture.AssertNoDamage();

    [LabFact]
    public async Task Connections_go_on_to_a_backend_that_terminates_leaves_and_whose_service_is_deleted()
    {
        LabService service = fixture.Service(60, "web-1");
        await fixture.ApplyAsync(service, "ExternalIP", "client");
        List<CheckedStream> streams = await StartAsync(service, udp: false);

        LabPod web1 = fixture.Topology.Pod("web-1");
        LabPod web3 = fixture.Topology.Pod("web-3");
        await fixture.ApplyAsync(service with { Backends = [web1, web3], Terminating = [web1] });
        await GoOnAsync("while it terminates", streams);

        await fixture.ApplyAsync(service with { Backends = [web3] });
        await Eventually.IsAsync("all are known to have lost their backend", () => Fates(service).SequenceEqual(Enumerable.Repeat("left", streams.Count)));
        await GoOnAsync("after it left", streams);
        Assert.Contains("TCP whose backend has left its service", fixture.Clusterlb("node-a", "status").Output, StringComparison.Ordinal);
        Assert.Contains(":8081 (left)", fixture.Clusterlb("node-a", "bpf", "ct", "list").Output, StringComparison.Ordinal);

        await fixture.ApplyAsync(service with { Backends = [] });
        await GoOnAsync("with no endpoint at all", streams);

        fixture.Lab.Manifests.Remove(service);
        await Eventually.IsAsync("the service is gone", () => !fixture.Clusterlb("node-a", "service", "list").Output.Contains(service.Name, StringComparison.Ordinal));
        await GoOnAsync("after the service was deleted", streams);
        foreach (CheckedStream stream in streams)
        {
            Assert.Equal("", (await stream.StopAsync()).Failure);
        }
    }

    [LabTheory]
    [InlineData("", 61)]
    [InlineData("reset", 63)]
    public async Task A_client_of_a_backend_that_is_gone_is_reset_whether_it_asks_or_only_listens(string policy, int index)
    {
        LabService service = WithPolicy(fixture.Service(index, "web-1"), policy);
        await fixture.ApplyAsync(service, "ExternalIP", "client");
        (CheckedStream Asking, Socket Listening)[] clients = await ClientsAsync(service);
        await using CheckedStream witness = await CheckedStream.StartAsync(fixture.To("client-a", "on-node-b", ipv6: false, 7), udp: false, Patience);
        witness.TakeLongestGapMs();

        using (fixture.Die("web-1"))
        {
            long died = Stopwatch.GetTimestamp();
            Task<(string End, double AfterMs)>[] listening = [.. clients.Select(client => ListenAsync(client.Listening, died))];
            await fixture.ApplyAsync(service with { Backends = [fixture.Topology.Pod("web-3")] });
            double knownMs = Stopwatch.GetElapsedTime(died).TotalMilliseconds;
            var silences = new List<double>();
            foreach ((string end, double afterMs) in await Task.WhenAll(listening))
            {
                Assert.Equal("reset", end);
                silences.Add(afterMs);
            }

            foreach ((CheckedStream asking, _) in clients)
            {
                await asking.WaitForMoreAsync(int.MaxValue);
                StreamReport report = await asking.StopAsync();
                Assert.Equal("reset", report.Failure);
                silences.Add(report.LongestGapMs);
            }

            // A second is promised; a machine that lets a connection to a living backend wait makes these wait, too.
            double machineMs = witness.TakeLongestGapMs();
            output.WriteLine($"{policy}: known after {knownMs:0} ms, the last was told after {silences.Max():0} ms; meanwhile one elsewhere waited {machineMs:0} ms at most");
            Assert.InRange(silences.Max(), 0, knownMs + 1_000 + (2 * machineMs));
        }

        Assert.Empty(Fates(service));
        fixture.Lab.Manifests.Remove(service);
    }

    [LabFact]
    public async Task With_reset_clients_leave_a_backend_that_has_left_though_it_would_answer_but_not_one_that_is_not_ready()
    {
        LabService service = WithPolicy(fixture.Service(64, "web-1"), "reset");
        LabPod web1 = fixture.Topology.Pod("web-1");
        LabPod web3 = fixture.Topology.Pod("web-3");
        await fixture.ApplyAsync(service, "ExternalIP", "client");
        List<CheckedStream> streams = await StartAsync(service, udp: false);
        await fixture.ApplyAsync(service with { Backends = [web1, web3], NotReady = [web1] });
        await Eventually.IsAsync("it is known to be not ready", () => Fates(service).SequenceEqual(Enumerable.Repeat("left", streams.Count)));
        await GoOnAsync("while it is not ready", streams);

        // web-1 is in other services, too: only when no slice names it is it gone.
        await fixture.ApplyAsync(service with { Backends = [web3] });
        await GoOnAsync("while another service has it", streams);
        LabService[] others = [.. fixture.Topology.Services.Where(s => s.Backends.Contains(web1))];
        try
        {
            foreach (LabService other in others)
            {
                fixture.Lab.Manifests.Apply(other with { Backends = [.. other.Backends.Except([web1])] });
            }

            foreach (CheckedStream stream in streams)
            {
                await stream.WaitForMoreAsync(int.MaxValue);
                Assert.Equal("reset", (await stream.StopAsync()).Failure);
            }
        }
        finally
        {
            Array.ForEach(others, fixture.Lab.Manifests.Apply);
            fixture.Lab.Manifests.Remove(service);
        }
    }

    [LabFact]
    public async Task With_keep_nobody_is_reset_and_the_connection_goes_on_when_the_backend_is_back()
    {
        LabService service = WithPolicy(fixture.Service(65, "web-1"), "keep");
        await fixture.ApplyAsync(service);
        CheckedStream stream = await CheckedStream.StartAsync(fixture.To("client-a", service, "ClusterIP", ipv6: false), udp: false, Patience);
        ulong before = fixture.Drops(DropReason.BackendGone);
        using (fixture.Die("web-1"))
        {
            await fixture.ApplyAsync(service with { Backends = [fixture.Topology.Pod("web-3")] });
            CheckedStream other = await CheckedStream.StartAsync(fixture.To("client-a", service, "ClusterIP", ipv6: true), udp: false, Patience);
            await other.WaitForMoreAsync(250); // longer than a client of another policy would wait
            Assert.Equal("", (await other.StopAsync()).Failure);
        }

        await GoOnAsync("after it came back", [stream]);
        Assert.Equal(before, fixture.Drops(DropReason.BackendGone));
        Assert.Equal("", (await stream.StopAsync()).Failure);
        fixture.Lab.Manifests.Remove(service);
    }

    [LabFact]
    public async Task UDP_leaves_a_backend_that_serves_no_more_with_the_next_datagram_and_is_refused_where_there_is_none()
    {
        LabService service = fixture.Service(66, "web-1");
        await fixture.ApplyAsync(service, "ExternalIP", "client");
        List<CheckedStream> streams = await StartAsync(service, udp: true);
        Assert.All(streams, stream => Assert.Equal("web-1", stream.Pod));

        using (fixture.Die("web-1"))
        {
            await fixture.ApplyAsync(service with { Backends = [fixture.Topology.Pod("web-3")] });
            await GoOnAsync("at another backend", streams);
            Assert.All(streams, stream => Assert.Equal("web-3", stream.Pod));
        }

        await fixture.ApplyAsync(service with { Backends = [] });
        foreach ((string from, string kind) in WaysIn)
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                Assert.Equal("refused", (await Connector.OnceAsync(fixture.To(from, service, kind, ipv6), ConnectProtocol.Udp, LabFixture.Timeout)).Failure);
            }
        }

        await Eventually.IsAsync("no flow is left to a backend", () => Fates(service, IpProtocol.Udp).Length == 0);
        await fixture.ApplyAsync(service);
        await GoOnAsync("when there is one again", streams);

        fixture.Lab.Manifests.Remove(service);
        await Eventually.IsAsync("no flow of a deleted service is left", () => Fates(service, IpProtocol.Udp).Length == 0);
        foreach (CheckedStream stream in streams)
        {
            await stream.StopAsync();
        }
    }

    private async Task<List<CheckedStream>> StartAsync(LabService service, bool udp)
    {
        var streams = new List<CheckedStream>();
        foreach ((string from, string kind) in WaysIn)
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                streams.Add(await CheckedStream.StartAsync(fixture.To(from, service, kind, ipv6), udp, Patience));
            }
        }

        await GoOnAsync("at the beginning", streams);
        return streams;
    }

    private static async Task GoOnAsync(string when, List<CheckedStream> streams)
    {
        foreach (CheckedStream stream in streams)
        {
            long before = stream.Exchanges;
            await stream.WaitForMoreAsync(20);
            if (stream.Exchanges < before + 20)
            {
                Assert.Fail($"{when}: {stream.Client} at {stream.Pod}: {(await stream.StopAsync()).Failure}");
            }
        }
    }

    private async Task<(CheckedStream Asking, Socket Listening)[]> ClientsAsync(LabService service)
    {
        var clients = new List<(CheckedStream, Socket)>();
        foreach ((string from, string kind) in WaysIn)
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                TrafficTarget target = fixture.To(from, service, kind, ipv6);
                Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(target.Address).WaitAsync(Patience);
                await socket.ReceiveAsync(new byte[1024]).WaitAsync(Patience); // the greeting
                clients.Add((await CheckedStream.StartAsync(target, udp: false, Patience), socket));
            }
        }

        return [.. clients];
    }

    private static async Task<(string End, double AfterMs)> ListenAsync(Socket socket, long since) =>
        (await ReadAsync(socket), Stopwatch.GetElapsedTime(since).TotalMilliseconds);

    private static async Task<string> ReadAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                return $"{await socket.ReceiveAsync(new byte[1024]).WaitAsync(Patience)} bytes";
            }
            catch (SocketException e)
            {
                return e.SocketErrorCode == SocketError.ConnectionReset ? "reset" : $"{e.SocketErrorCode}";
            }
        }
    }

    private static LabService WithPolicy(LabService service, string policy) => policy.Length == 0
        ? service
        : service with { Annotations = new Dictionary<string, string> { [Policy] = policy } };

    /// <summary>Of node-a's flows of a service that are not closing: what their backend has come to.</summary>
    private string[] Fates(LabService service, IpProtocol protocol = IpProtocol.Tcp)
    {
        IPEndPoint[] frontends = [.. from way in WaysIn from ipv6 in (bool[])[false, true] select fixture.To(way.From, service, way.Kind, ipv6).Address];
        return
        [
            .. from flow in FlowTables.Read(fixture.Lab.Agent("node-a").StateDirectory)
               where flow.Original.Protocol == protocol && flow.State is "ESTABLISHED" or "ASSURED" or "UNREPLIED" && flow.RemainingSeconds > 0
                     && frontends.Contains(new IPEndPoint(IPAddress.Parse($"{flow.Original.Destination}"), flow.Original.DestinationPort))
               select flow.BackendFate,
        ];
    }
}
