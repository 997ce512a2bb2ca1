using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Tables at their limits, filled by real sockets: who is refused, who goes, how it is told, and that it is over by itself. Source
/// ports: <see cref="SourcePortTests"/>; floods: <see cref="Failures.FloodTests"/>.</summary>
public sealed class FullTableTests(FullTablesLabFixture fixture) : IClassFixture<FullTablesLabFixture>, IDisposable
{
    private const string Node = "node-a";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public void Dispose() => fixture.AssertNoDamage();

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_table_full_of_connections_refuses_new_ones_tells_it_and_takes_them_as_soon_as_some_end(bool ipv6)
    {
        fixture.Clusterlb(Node, "bpf", "ct", "flush");
        TrafficTarget target = fixture.To("client-a", "on-node-a", ipv6, 7);
        ulong refused = Refused();
        List<Socket> connected = await FillAsync(target);
        try
        {
            Assert.InRange(connected.Count, FullTablesLabFixture.Flows - 24, FullTablesLabFixture.Flows); // what the lab itself has, and full buckets

            Task<Attempt>[] waiting = [.. Enumerable.Range(0, 5).Select(_ => Connector.OnceAsync(target, ConnectProtocol.Tcp, Patience))];
            ulong atLeast = refused + (ulong)waiting.Length;
            await Eventually.IsAsync("new connections are refused and counted", () => Refused() >= atLeast);
            Assert.DoesNotContain(waiting, attempt => attempt.IsCompleted);
            Assert.Contains("the flow table was full", fixture.Clusterlb(Node, "status").Output, StringComparison.Ordinal);
            await LogTellsAsync("ConntrackFull");
            foreach (Socket socket in connected)
            {
                await AskAsync(socket);
            }

            // A client sends its SYN again and again: it need not do anything else.
            foreach (Socket socket in connected[..100])
            {
                socket.Dispose();
            }

            foreach (Attempt attempt in await Task.WhenAll(waiting))
            {
                Assert.Equal("", attempt.Failure);
            }

            foreach (Socket socket in connected[100..])
            {
                await AskAsync(socket);
            }
        }
        finally
        {
            connected.ForEach(socket => socket.Dispose());
            fixture.Clusterlb(Node, "bpf", "ct", "flush");
        }
    }

    [LabFact]
    public async Task More_clients_than_can_be_pinned_are_all_served_and_the_table_tells_that_it_was_full()
    {
        var service = new LabService("sticky", 51, fixture.Topology.Service("web").Ports, fixture.Topology.Service("web").Backends) { AffinitySeconds = 10_800 };
        fixture.Lab.Manifests.Apply(service);
        IPAddress[] clients = [.. Enumerable.Range(20, 220).Select(i => IPAddress.Parse($"203.0.113.{i}"))];
        Addresses("add", clients);
        try
        {
            TrafficTarget target = TrafficTarget.Of(fixture.Lab, LabTopology.ClientName, service.Ipv4, 7);
            await Eventually.IsAsync("the service is there", async () => (await Connector.OnceAsync(target, ConnectProtocol.Tcp, LabFixture.Timeout)).Failure.Length == 0);
            ulong before = fixture.Counters(Node).EvictedPins;
            using Socket first = await ConnectAsync(target, clients[0]);
            foreach (IPAddress client in clients[1..])
            {
                using Socket socket = await ConnectAsync(target, client);
            }

            Assert.True(fixture.Counters(Node).EvictedPins > before, "the table was never full");
            Assert.Contains("clients' session affinity forgotten early", fixture.Clusterlb(Node, "status").Output, StringComparison.Ordinal);
            await LogTellsAsync("AffinityForgottenEarly");
            await AskAsync(first); // its client may be forgotten, its connection is not

            // Whoever comes next is pinned as ever.
            var pods = new HashSet<string>();
            for (int i = 0; i < 20; i++)
            {
                using Socket socket = await ConnectAsync(target, clients[^1], pods);
            }

            Assert.Single(pods);
        }
        finally
        {
            Addresses("del", clients);
            fixture.Lab.Manifests.Remove(service);
        }
    }

    [LabFact]
    public async Task Forged_first_fragments_fill_their_table_and_real_datagrams_go_through_it_whole()
    {
        fixture.Exec(LabTopology.SwitchName, "ip", "route", "replace", ForgedPackets.Sources, "via", LabTopology.ClientIpv4.ToString());
        string vip = fixture.Topology.Service("on-node-a").Ipv4.ToString();
        ulong before = fixture.Counters(Node).EvictedFragments;

        // From the node itself, and past its reassembly: of those from elsewhere the kernel passes none on whose rest does not come.
        using var forged = new ForgedPackets(fixture.Lab.Namespace(Node), Packet.Udp("100.64.0.1:1", $"{vip}:7").Payload(300).Fragments(104)[0]);
        await Eventually.IsAsync("forged fragments push each other out", () =>
        {
            forged.Send(2 * FullTablesLabFixture.Fragments);
            return fixture.Counters(Node).EvictedFragments >= before + FullTablesLabFixture.Fragments;
        });

        Assert.Contains("fragmented datagrams forgotten too early", fixture.Clusterlb(Node, "status").Output, StringComparison.Ordinal);
        await LogTellsAsync("FragmentsForgottenEarly");
        forged.Send(2 * FullTablesLabFixture.Fragments);
        foreach (bool ipv6 in (bool[])[false, true])
        {
            Assert.Equal("", await LargeDatagram.ExchangeAsync(fixture.To("client-a", "on-node-b", ipv6, 7), 9_000));
        }
    }

    private ulong Refused() => fixture.Counters(Node).Drops(DropReason.ConntrackFull);

    private Task LogTellsAsync(string what) =>
        Eventually.IsAsync($"the log tells {what}", () => fixture.Lab.Agent(Node).LogTail(400).Contains(what, StringComparison.Ordinal));

    /// <summary>Connects until a connection is refused.</summary>
    private async Task<List<Socket>> FillAsync(TrafficTarget target)
    {
        var connected = new List<Socket>();
        ulong before = Refused();
        while (Refused() == before)
        {
            Socket socket = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            Task connecting = ConnectAsync(socket, target.Address);
            while (!connecting.IsCompleted && Refused() == before)
            {
                await Task.WhenAny(connecting, Task.Delay(10));
            }

            if (connecting.IsCompletedSuccessfully)
            {
                connected.Add(socket);
            }
            else
            {
                socket.Dispose();
                await Task.WhenAny(connecting); // by an exception, which is what was to be seen
            }
        }

        return connected;
    }

    /// <summary>Connects and answers the greeting, as which the flow counts as established.</summary>
    private static async Task ConnectAsync(Socket socket, IPEndPoint address)
    {
        await socket.ConnectAsync(address).WaitAsync(Patience);
        await socket.ReceiveAsync(new byte[1024]).WaitAsync(Patience);
        await AskAsync(socket);
    }

    private static async Task<Socket> ConnectAsync(TrafficTarget target, IPAddress client, HashSet<string>? pods = null)
    {
        Socket socket = target.From!.OpenSocket(client.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(client, 0));
        await socket.ConnectAsync(target.Address).WaitAsync(Patience);
        byte[] greeting = new byte[1024];
        int length = await socket.ReceiveAsync(greeting).WaitAsync(Patience);
        pods?.Add(Connector.Parse(greeting.AsSpan(0, length)).Pod);
        return socket;
    }

    private static async Task AskAsync(Socket socket)
    {
        byte[] answer = new byte[16];
        await socket.SendAsync("once more"u8.ToArray()).WaitAsync(Patience);
        Assert.Equal(9, await socket.ReceiveAsync(answer).WaitAsync(Patience));
    }

    private void Addresses(string verb, IEnumerable<IPAddress> addresses) => Tool.Run(
        "ip", ["-n", fixture.Lab.Namespace(LabTopology.ClientName).Name, "-batch", "-"], string.Concat(addresses.Select(address => $"addr {verb} {address}/32 dev eth0\n")));
}
