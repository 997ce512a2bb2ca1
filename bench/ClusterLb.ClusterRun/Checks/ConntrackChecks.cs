using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Flows that last longer than their pod, and packets that belong to no flow.</summary>
internal sealed class ConntrackChecks : ICheckGroup
{
    private const int SourcePort = 12345;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);

    public string Name => "conntrack";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        await CycleAsync(bed, list, "by a cluster IP", bed.Pod1, s => s.At());
        await CycleAsync(bed, list, "by a cluster IP over IPv6", bed.Pod1, s => s.At6());
        await CycleAsync(bed, list, "by a cluster IP from the host network", bed.Node1.Origin, s => s.At());
        await CycleAsync(bed, list, "by a node port", bed.Pod1, s => new IPEndPoint(bed.Node2.Address, s.NodePort("datagram")));
        await CycleAsync(bed, list, "by the own node's port", bed.Pod1, s => new IPEndPoint(bed.Node1.Address, s.NodePort("datagram")));
        await CycleAsync(bed, list, "by a load balancer's IP", bed.Pod1, _ => new IPEndPoint(IPAddress.Parse("203.0.113.71"), 80));
        if (bed.Outside is { } outside)
        {
            await CycleAsync(bed, list, "by a node port from outside", outside, s => new IPEndPoint(bed.Node1.Address, s.NodePort("datagram")));
        }

        await list.CheckAsync("UDP that began before any pod was ready arrives when one is", () => EarlyAsync(bed));
        await list.CheckAsync("UDP that began while the pod was not ready arrives when it is", () => UnreadyAsync(bed));
        await list.CheckAsync("a packet out of its window breaks no connection, same node", () => OutOfWindowAsync(bed, "a1", bed.Pod1));
        await list.CheckAsync("a packet out of its window breaks no connection, other node", () => OutOfWindowAsync(bed, "a2", bed.Pod1));
        await list.CheckAsync("a packet out of its window breaks no connection of a node", () => OutOfWindowAsync(bed, "a2", bed.Node1.Origin));
        await list.CheckAsync("the kernel keeps a half-closed connection for an hour", () => CloseWaitAsync(bed));
    }

    // As a DNS client or a QUIC client behind a fixed port: each datagram from the same one.
    private static Task CycleAsync(CheckBed bed, CheckList list, string how, Origin from, Func<CheckedService, IPEndPoint> frontend) =>
        list.CheckAsync($"a UDP client keeps its port while pods are replaced, {how}", async () =>
        {
            await bed.StartAsync(new PodOrder("cycle1", bed.Node2.Name, "cycle"));
            CheckedService service = bed.ServiceOf("cycle", "{app: cycle}", "type: LoadBalancer");
            bed.GiveAddresses("cycle", """[{"ip":"203.0.113.71"}]""");
            IPEndPoint to = frontend(service);
            await UdpHearsAsync(from, to, "cycle1");
            await bed.StartAsync(new PodOrder("cycle2", bed.Node1.Name, "cycle"));
            bed.Kubectl("delete", "pod", "cycle1", "--grace-period=0", "--force", "--wait=false");
            await UdpHearsAsync(from, to, "cycle2");
            await bed.KillAsync("cycle2");
            bed.Kubectl("delete", "service", "cycle");
        });

    private static async Task EarlyAsync(CheckBed bed)
    {
        CheckedService service = bed.ServiceOf("early", "{app: early}", "type: NodePort");
        var port = new IPEndPoint(bed.Node2.Address, service.NodePort("datagram"));
        using var stop = new CancellationTokenSource();
        Task[] clients = [.. ((IPEndPoint[])[service.At(), service.At6(), port]).Select((to, i) => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await Probe.UdpAsync(bed.Pod1, to, "hostname", SourcePort + 1 + i);
                await Task.Delay(Pause);
            }
        }))];
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(2));
            await bed.StartAsync(new PodOrder("early", bed.Node2.Name, "early"));
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }

        await UdpHearsAsync(bed.Pod1, service.At(), "early", SourcePort + 1);
        await UdpHearsAsync(bed.Pod1, service.At6(), "early", SourcePort + 2);
        await UdpHearsAsync(bed.Pod1, port, "early", SourcePort + 3);
    }

    private static async Task UnreadyAsync(CheckBed bed)
    {
        bed.Start(new PodOrder("late", bed.Node1.Name, "late") { MoreOfContainer = "readinessProbe: {httpGet: {path: /readyz, port: 8080}, initialDelaySeconds: 5, periodSeconds: 1}" });
        CheckedService service = bed.ServiceOf("late", "{app: late}");
        await UdpHearsAsync(bed.Pod2, service.At(), "late");
    }

    private static Task UdpHearsAsync(Origin from, IPEndPoint to, string pod, int sourcePort = SourcePort) =>
        Probe.HoldsAsync($"{from.Name} port {sourcePort} to {to} UDP, to hear of {pod}", async () =>
        {
            Answer answer = await Probe.UdpAsync(from, to, "hostname", sourcePort);
            return answer.Failure.Length > 0 ? answer.Failure : answer.Body == pod ? "" : "heard of " + answer.Body;
        });

    private static async Task OutOfWindowAsync(CheckBed bed, string pod, Origin client)
    {
        const int Port = 9000;
        Origin server = bed.OriginOf(pod);
        CheckedService service = bed.Service("boom-" + pod, $"{{selector: {{pod: {pod}}}, ports: [{{port: {Port}, targetPort: {Port}}}]}}");
        using Socket raw = server.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Tcp);
        using Socket listener = server.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(IPAddress.Any, Port));
        listener.Listen();
        using Socket dialled = await ConnectAsync(client, service.At(Port));
        using Socket accepted = await listener.AcceptAsync();
        await SayAsync(dialled, accepted, "hello");
        await SayAsync(accepted, dialled, "good day");
        await new StraySegments(raw, (IPEndPoint)accepted.LocalEndPoint!, (IPEndPoint)accepted.RemoteEndPoint!).SendAsync();
        await SayAsync(dialled, accepted, "still there");
        await SayAsync(accepted, dialled, "yes");
    }

    private static async Task<Socket> ConnectAsync(Origin client, IPEndPoint to)
    {
        long started = Stopwatch.GetTimestamp();
        while (true)
        {
            Socket socket = client.Namespace.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(3));
                await socket.ConnectAsync(to, limit.Token);
                return socket;
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                socket.Dispose();
                if (Stopwatch.GetElapsedTime(started) > Probe.Patience)
                {
                    throw new CheckFailedException($"{client.Name} to {to}: {e.Message}");
                }

                await Task.Delay(Pause);
            }
        }
    }

    private static async Task SayAsync(Socket from, Socket to, string text)
    {
        byte[] buffer = new byte[64];
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            await from.SendAsync(Encoding.ASCII.GetBytes(text), limit.Token);
            int length = await to.ReceiveAsync(buffer, limit.Token);
            string heard = Encoding.ASCII.GetString(buffer, 0, length);
            if (heard != text)
            {
                throw new CheckFailedException($"'{text}' arrived as '{heard}'");
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            throw new CheckFailedException($"'{text}' did not arrive: {e.Message}");
        }
    }

    // The server closes, the client does not: the kernel's own entry, which a service proxy sets the timeout of.
    private static async Task CloseWaitAsync(CheckBed bed)
    {
        await bed.StartAsync(new PodOrder("closes", bed.Node2.Name, "closes") { IsOnHostNetwork = true, HttpPort = 18088, UdpPort = 18089 });
        using Socket socket = await ConnectAsync(bed.Node1.Origin, new IPEndPoint(bed.Node2.Address, 18088));
        await socket.SendAsync("GET /hostname HTTP/1.0\r\n\r\n"u8.ToArray());
        while (await socket.ReceiveAsync(new byte[1024]) > 0)
        {
        }

        await Probe.HoldsAsync("an entry in CLOSE_WAIT with about 3600 s", () =>
        {
            string table = Tool.Try("nsenter", [$"--net={bed.Node1.Origin.Namespace.Path}", "conntrack", "-L", "-p", "tcp", "--dport", "18088"]).Output;
            foreach (string line in table.Split('\n').Where(l => l.Contains("CLOSE_WAIT", StringComparison.Ordinal)))
            {
                string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (int.TryParse(words[2], CultureInfo.InvariantCulture, out int seconds) && Math.Abs(seconds - 3600) < 60)
                {
                    return Task.FromResult("");
                }
            }

            return Task.FromResult(table.Trim().Length == 0 ? "no entry" : table.Trim());
        });
    }
}
