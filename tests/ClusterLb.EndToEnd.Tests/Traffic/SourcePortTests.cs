using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Echo;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Source ports of masqueraded flows and tuples that clash, on real sockets. The lab's agents have ten ports, 5000 to 5009.</summary>
[Collection(FlowLabCollection.Name)]
public sealed class SourcePortTests(FlowLabFixture fixture) : IDisposable
{
    private const int Port = 41_000; // of every client; one of them keeps it
    private const int RangePorts = 10;
    private const int Clients = 15;
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(700);

    public void Dispose() => fixture.AssertNoDamage();

    [LabTheory]
    [InlineData(false, 70)]
    [InlineData(true, 71)]
    public async Task Beyond_the_range_flows_are_refused_counted_and_told_and_when_one_ends_another_begins(bool ipv6, int index)
    {
        LabService service = fixture.Service(index, "web-1");
        await fixture.ApplyAsync(service, "NodePort", "client");
        fixture.Clusterlb("node-a", "bpf", "ct", "flush");
        IPAddress[] clients = [.. Enumerable.Range(101, Clients).Select(i => IPAddress.Parse(ipv6 ? $"2001:db8:113::{i}" : $"203.0.113.{i}"))];
        Array.ForEach(clients, address => Address("add", address));
        try
        {
            ulong before = fixture.Drops(DropReason.SnatPortsExhausted);
            var seen = new HashSet<int>();
            int refused = 0;
            foreach (IPAddress client in clients)
            {
                EchoAnswer? answer = await AskAsync(service, ipv6, client);
                if (answer is null)
                {
                    refused++;
                }
                else
                {
                    Assert.True(seen.Add(IPEndPoint.Parse(answer.Client).Port), $"port {answer.Client} twice");
                }
            }

            Assert.Equal([.. Enumerable.Range(5_000, RangePorts), Port], seen.Order());
            Assert.Equal(Clients - RangePorts - 1, refused);
            Assert.Equal(before + (ulong)refused, fixture.Drops(DropReason.SnatPortsExhausted));
            Assert.Contains("no source port was free towards a backend", fixture.Clusterlb("node-a", "status").Output, StringComparison.Ordinal);
            await Eventually.IsAsync("the agent's log tells", () => fixture.Lab.Agent("node-a").LogTail(200).Contains("SnatPortsExhausted", StringComparison.Ordinal));

            fixture.Clusterlb("node-a", "bpf", "ct", "flush", "--client", $"{clients[3]}");
            Assert.NotNull(await AskAsync(service, ipv6, clients[^1]));
        }
        finally
        {
            Array.ForEach(clients, address => Address("del", address));
            fixture.Lab.Manifests.Remove(service);
            fixture.Clusterlb("node-a", "bpf", "ct", "flush");
        }
    }

    [LabTheory]
    [InlineData(false, 72)]
    [InlineData(true, 74)]
    public async Task Two_services_with_one_backend_are_used_from_one_port_at_once(bool ipv6, int index)
    {
        LabService one = fixture.Service(index, "web-1");
        LabService two = fixture.Service(index + 1, "web-1");
        await fixture.ApplyAsync(one);
        await fixture.ApplyAsync(two);
        IPAddress pod = IPAddress.Parse($"{(ipv6 ? fixture.Topology.Pod("client-a").Ipv6 : fixture.Topology.Pod("client-a").Ipv4)}");

        foreach (bool udp in (bool[])[false, true])
        {
            var answers = new List<EchoAnswer>();
            using Socket first = Open(udp, pod, 42_000);
            using Socket second = Open(udp, pod, 42_000);
            foreach ((Socket socket, LabService service) in (IEnumerable<(Socket, LabService)>)[(first, one), (second, two)])
            {
                await socket.ConnectAsync(fixture.To("client-a", service, "ClusterIP", ipv6).Address).WaitAsync(LabFixture.Timeout);
                answers.Add((await ReadAsync(socket, udp, LabFixture.Timeout))!);
            }

            // The backend sees the client's own address both times, and two ports.
            IPEndPoint[] seen = [.. answers.Select(answer => IPEndPoint.Parse(answer.Client))];
            Assert.Equal((pod, 42_000), (seen[0].Address, seen[0].Port));
            Assert.Equal(pod, seen[1].Address);
            Assert.InRange(seen[1].Port, 5_000, 5_009);
            foreach (Socket socket in (Socket[])[first, second, first])
            {
                await socket.SendAsync("once more"u8.ToArray());
                Assert.True(await socket.ReceiveAsync(new byte[2048]).WaitAsync(LabFixture.Timeout) >= 9);
            }
        }

        fixture.Lab.Manifests.Remove(one);
        fixture.Lab.Manifests.Remove(two);
    }

    [LabFact]
    public async Task A_reply_whose_flow_is_lost_never_shows_the_pods_address_and_the_client_is_told_with_its_next_packet()
    {
        LabService service = fixture.Service(76, "web-3") with { Ports = [new LabServicePort("own", 90, "TCP", LabPod.ClosedPort)] };
        fixture.Lab.Manifests.Apply(service);
        TrafficTarget target = fixture.To("client-a", service, "ClusterIP", ipv6: false, port: 90);
        using Socket listener = fixture.Lab.Namespace("web-3").OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Any, LabPod.ClosedPort));
        listener.Listen();
        Socket? client = null;
        await Eventually.IsAsync("the service is there", async () =>
        {
            client = target.From!.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await client.ConnectAsync(target.Address).WaitAsync(Short);
                return true;
            }
            catch (Exception e) when (e is SocketException or TimeoutException)
            {
                client.Dispose();
                return false;
            }
        });
        using Socket connected = client!;
        using Socket server = await listener.AcceptAsync().WaitAsync(LabFixture.Timeout);
        await connected.SendAsync("hello"u8.ToArray());
        await server.ReceiveAsync(new byte[16]).WaitAsync(LabFixture.Timeout);

        fixture.Clusterlb("node-a", "bpf", "ct", "flush");
        ulong before = fixture.Drops(DropReason.UntranslatableReply);
        await server.SendAsync("from a pod that nobody dialled"u8.ToArray());
        await Eventually.IsAsync("it is dropped and counted", () => fixture.Drops(DropReason.UntranslatableReply) > before);
        Assert.False(connected.Poll(0, SelectMode.SelectRead)); // neither data nor a reset

        ulong reset = fixture.Drops(DropReason.NotASyn);
        await connected.SendAsync("next"u8.ToArray());
        SocketException told = await Assert.ThrowsAsync<SocketException>(() => connected.ReceiveAsync(new byte[16]).WaitAsync(LabFixture.Timeout));
        Assert.Equal(SocketError.ConnectionReset, told.SocketErrorCode);
        Assert.True(fixture.Drops(DropReason.NotASyn) > reset);
        fixture.Lab.Manifests.Remove(service);
    }

    /// <summary>A datagram from a client's port to the node port of the service; null if nobody answers.</summary>
    private async Task<EchoAnswer?> AskAsync(LabService service, bool ipv6, IPAddress client)
    {
        TrafficTarget target = fixture.To("client", service, "NodePort", ipv6);
        using Socket socket = target.From!.OpenSocket(client.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(client, Port));
        await socket.ConnectAsync(target.Address);
        return await ReadAsync(socket, udp: true, Short);
    }

    private static async Task<EchoAnswer?> ReadAsync(Socket socket, bool udp, TimeSpan patience)
    {
        byte[] buffer = new byte[2048];
        if (udp)
        {
            await socket.SendAsync("?"u8.ToArray());
        }

        using var limit = new CancellationTokenSource(patience);
        try
        {
            int length = await socket.ReceiveAsync(buffer, limit.Token);
            return Connector.Parse(buffer.AsSpan(0, length));
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private Socket Open(bool udp, IPAddress address, int port)
    {
        Socket socket = fixture.Lab.Namespace("client-a").OpenSocket(
            address.AddressFamily, udp ? SocketType.Dgram : SocketType.Stream, udp ? ProtocolType.Udp : ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, optionValue: true);
        socket.Bind(new IPEndPoint(address, port));
        return socket;
    }

    private void Address(string verb, IPAddress address)
    {
        bool ipv6 = address.AddressFamily == AddressFamily.InterNetworkV6;
        string[] command = ["ip", "addr", verb, $"{address}/{(ipv6 ? 128 : 32)}", "dev", "eth0"];
        fixture.Exec("client", ipv6 && verb == "add" ? [.. command, "nodad"] : command);
    }
}
