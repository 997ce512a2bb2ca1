using System.Net;
using System.Net.Sockets;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>
/// Who reaches whom by node port, load balancer and external address, and which client address the backend sees: kube-proxy's rules on
/// real packets (TCP and UDP, IPv4 and IPv6).
/// </summary>
public abstract class ExternalTrafficTests(ExposedLabFixture fixture) : IDisposable
{
    private const string Own = LabFixture.Own;
    private const string NodeA = LabFixture.NodeA;
    private const string Silence = "timeout";
    private const string Loopback = "loopback";
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);

    /// <summary>From, service, who answers or what else happens, which client address is seen.</summary>
    public static TheoryData<string, string, string, string> Paths => new()
    {
        { "client", "cluster-a", "web-1", NodeA }, // policy Cluster: always masqueraded, a backend of this node too
        { "client", "cluster-b", "web-3", NodeA },
        { "client-a", "cluster-a", "web-1", NodeA },
        { "client-a", "cluster-b", "web-3", NodeA },
        { "web-1", "cluster-a", "web-1", NodeA }, // hairpin
        { "node-a", "cluster-a", "web-1", NodeA },
        { "node-a", "cluster-b", "web-3", NodeA },
        { "client", "cluster-host-a", "host-a", NodeA }, // the backend is the node itself
        { "client", "local-a", "web-1", Own }, // policy Local: from outside to this node's backends, address kept
        { "client", "local-host-a", "host-a", Own },
        { "client", "local-b", Silence, "" }, // none is here: dropped
        { "client-a", "local-a", "web-1", Own }, // pods are inside: all backends, address kept
        { "client-a", "local-b", "web-3", Own },
        { "web-1", "local-a", "web-1", NodeA },
        { "node-a", "local-a", "web-1", NodeA }, // this node: all backends, masqueraded
        { "node-a", "local-b", "web-3", NodeA },
        { "client", "nobody", "refused", "" },
        { "client-a", "nobody", "refused", "" },
        { "node-a", "nobody", "refused", "" },
    };

    /// <summary>As <see cref="Paths"/>, by the ways in.</summary>
    public static IEnumerable<object[]> PathsByKind =>
        from kind in (string[])["NodePort", "LoadBalancer", "ExternalIP"]
        from path in Paths
        select (object[])[kind, .. path];

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(PathsByKind))]
    public async Task A_frontend_is_answered_as_the_rules_say(string kind, string from, string service, string result, string client)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                await CheckAsync(AddressOf(kind, service, ipv6), kind, from, service, protocol, result, client, DropReason.NoLocalBackend);
            }
        }
    }

    [LabTheory]
    [InlineData("client", "web-3", NodeA)]
    [InlineData("client-a", "web-3", NodeA)]
    [InlineData("node-a", "web-3", NodeA)]
    public async Task A_load_balancer_address_that_the_node_has_itself_works_too(string from, string result, string client)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                await CheckAsync(AddressOf("LoadBalancer", "own-a", ipv6), "LoadBalancer", from, "own-a", protocol, result, client);
            }
        }
    }

    [LabTheory]
    [InlineData("cluster-a", "web-1")]
    [InlineData("cluster-b", "web-3")]
    [InlineData("local-b", "web-3")]
    public async Task A_node_port_answers_on_127_0_0_1(string service, string pod)
    {
        foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
        {
            await CheckAsync(IpAddr.Parse("127.0.0.1"), "NodePort", "node-a", service, protocol, pod, NodeA);
        }
    }

    [LabFact]
    public async Task A_node_port_does_not_answer_on_the_IPv6_loopback()
    {
        Attempt attempt = await ConnectAsync(IpAddr.Parse("::1"), "NodePort", "node-a", "cluster-a", ConnectProtocol.Http);

        Assert.Equal("refused", attempt.Failure);
    }

    [LabTheory]
    [InlineData("LoadBalancer", "client", Silence)] // 203.0.113.10 is in no range
    [InlineData("LoadBalancer", "client-a", "web-1")]
    [InlineData("LoadBalancer", "node-a", Silence)] // the node has no short cut
    [InlineData("NodePort", "client", "web-1")] // ranges are about load balancer addresses only
    [InlineData("ExternalIP", "client", "web-1")]
    public async Task Source_ranges_filter_load_balancer_addresses(string kind, string from, string result)
    {
        foreach (ConnectProtocol protocol in (ConnectProtocol[])[ConnectProtocol.Http, ConnectProtocol.Udp])
        {
            foreach (bool ipv6 in (bool[])[false, true])
            {
                if (from == "node-a" && ipv6)
                {
                    continue; // fd31::11 is in fd00::/8
                }

                await CheckAsync(
                    AddressOf(kind, "filtered", ipv6), kind, from, "filtered", protocol, result, result == Silence ? "" : NodeA, DropReason.NotInSourceRange);
            }
        }
    }

    [LabTheory]
    [InlineData("client", "NodePort", "cluster-b", false)]
    [InlineData("client", "NodePort", "cluster-b", true)]
    [InlineData("client", "LoadBalancer", "local-a", false)]
    [InlineData("client", "LoadBalancer", "local-a", true)]
    [InlineData("client", "NodePort", "local-host-a", false)]
    [InlineData("client-a", "ExternalIP", "cluster-b", false)]
    [InlineData("node-a", "NodePort", "cluster-b", false)]
    public async Task Twenty_megabytes_come_back_as_they_were_sent(string from, string kind, string service, bool ipv6)
    {
        const long Bytes = 20_000_000;
        TrafficTarget target = TrafficTarget.Of(fixture.Lab, from, AddressOf(kind, service, ipv6), PortOf(kind, service, 7));

        StreamReport report = await BulkTransfer.RunAsync(target, Bytes, TimeSpan.FromSeconds(30));

        Assert.Equal("", report.Failure);
        Assert.Equal(Bytes, report.Bytes);
    }

    [LabTheory]
    [InlineData("client", false)]
    [InlineData("client", true)]
    [InlineData("client-a", false)]
    [InlineData("client-a", true)]
    [InlineData("node-a", false)]
    [InlineData("node-a", true)]
    [InlineData(Loopback, false)]
    [InlineData(Loopback, true)]
    public async Task A_port_of_the_range_that_no_service_has_is_left_alone(string from, bool ipv6)
    {
        TrafficTarget target = ToNode(from, 32_111, ipv6);
        Assert.Equal("refused", (await Connector.OnceAsync(target, ConnectProtocol.Http, LabFixture.Timeout)).Failure);
        Assert.Equal("refused", (await Connector.OnceAsync(target, ConnectProtocol.Udp, LabFixture.Timeout)).Failure);

        using var host = new HostServer(fixture.Lab.Namespace("node-a"), target.Address);
        using Socket tcp = await host.ConnectAsync(target); // past the handshake, too
        await host.ExchangeAsync(tcp);
        using Socket udp = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await udp.ConnectAsync(target.Address);
        await host.ExchangeAsync(udp);
    }

    [LabTheory]
    [InlineData("client", false)]
    [InlineData("client", true)]
    [InlineData(Loopback, false)]
    public async Task A_node_port_that_a_program_of_the_node_has_already_goes_to_the_service_and_leaves_the_program_its_connections(string from, bool ipv6)
    {
        const int First = 32_200;
        const int Index = 61;
        TrafficTarget target = ToNode(from, First + 7, ipv6);
        using var host = new HostServer(fixture.Lab.Namespace("node-a"), target.Address);
        using Socket tcp = await host.ConnectAsync(target);
        await host.ExchangeAsync(tcp);
        using Socket udp = target.From!.OpenSocket(target.Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await udp.ConnectAsync(target.Address);
        await host.ExchangeAsync(udp);

        LabService taken = fixture.Topology.Service("cluster-b") with { Name = "taken", Index = Index, Exposure = new LabExposure(First) };
        fixture.Lab.Manifests.Apply(taken);
        try
        {
            foreach (ConnectProtocol protocol in (ConnectProtocol[])[ConnectProtocol.Tcp, ConnectProtocol.Udp])
            {
                await Eventually.IsAsync($"the service has the port, {protocol}", async () => (await Connector.OnceAsync(target, protocol, Short)).Answer?.Pod == "web-3");
            }

            await host.ExchangeAsync(tcp);
            await host.ExchangeAsync(udp);
        }
        finally
        {
            fixture.Lab.Manifests.Remove(taken);
        }

        await Eventually.IsAsync("the program has the port again", async () => (await Connector.OnceAsync(target, ConnectProtocol.Tcp, Short)).Answer is null);
        await host.ExchangeAsync(tcp);
    }

    [LabTheory]
    [InlineData("NodePort", "cluster-b", "web-3", false)]
    [InlineData("NodePort", "cluster-b", "web-3", true)]
    [InlineData("LoadBalancer", "local-a", "web-1", false)]
    [InlineData("LoadBalancer", "local-a", "web-1", true)]
    public Task A_segment_out_of_its_window_breaks_no_connection(string kind, string service, string pod, bool ipv6) =>
        OutOfWindow.LeavesConnectionAsync(fixture, fixture.To("client", kind, service, ipv6, 7), pod);

    [LabFact]
    public async Task Another_port_of_a_load_balancer_address_that_the_node_has_is_the_nodes_own()
    {
        IpAddr address = AddressOf("LoadBalancer", "own-a", ipv6: false);
        Assert.Equal("refused", (await Connector.OnceAsync(TrafficTarget.Of(fixture.Lab, "client", address, 4711), ConnectProtocol.Http, LabFixture.Timeout)).Failure);
    }

    [LabFact]
    public async Task What_is_exposed_later_is_reached_and_what_is_gone_is_not()
    {
        LabService late = fixture.Topology.Service("cluster-a") with { Name = "late", Index = 60, Exposure = new LabExposure(32_000) };
        fixture.Lab.Manifests.Apply(late);
        TrafficTarget target = TrafficTarget.Of(fixture.Lab, "client", fixture.Topology.Node("node-a").Ipv4, 32_080);
        await Eventually.IsAsync("the node port answers", async () => (await Connector.OnceAsync(target, ConnectProtocol.Http, Short)).Answer is not null);

        fixture.Lab.Manifests.Remove(late);
        await Eventually.IsAsync("the node port is closed", async () => (await Connector.OnceAsync(target, ConnectProtocol.Http, Short)).Failure == "refused");
        await Eventually.IsAsync("its set element is gone", () => Task.FromResult(
            !fixture.Exec("node-a", "nft", "list", "table", "inet", "clb").Contains("32080", StringComparison.Ordinal)));
    }

    /// <param name="address">To dial.</param>
    /// <param name="kind">Of the address.</param>
    /// <param name="from">Who dials.</param>
    /// <param name="service">Whose port.</param>
    /// <param name="protocol">How.</param>
    /// <param name="result">The pod that answers, or what else happens.</param>
    /// <param name="client">What the pod sees; empty if none answers.</param>
    /// <param name="silentFor">Why a packet must have been dropped, where nobody answers.</param>
    private async Task CheckAsync(
        IpAddr address, string kind, string from, string service, ConnectProtocol protocol, string result, string client,
        DropReason silentFor = DropReason.None)
    {
        ulong dropped = fixture.Counters("node-a").Drops(silentFor);
        Attempt attempt = await ConnectAsync(address, kind, from, service, protocol, result == Silence ? Short : LabFixture.Timeout);

        string what = $"{from} to {kind} of {service} at {address}, {protocol}";
        if (client.Length > 0)
        {
            fixture.AssertAnswered(what, attempt, result, client);
            return;
        }

        Assert.True(attempt.Failure == result, $"{what}: {attempt.Failure} after {attempt.Elapsed.TotalMilliseconds:0} ms");
        if (result == Silence)
        {
            // Not merely late: it was dropped, and for this.
            await Eventually.IsAsync($"{what} is dropped as {silentFor}", () => fixture.Counters("node-a").Drops(silentFor) > dropped);
        }
    }

    private Task<Attempt> ConnectAsync(IpAddr address, string kind, string from, string service, ConnectProtocol protocol, TimeSpan? patience = null) =>
        Connector.OnceAsync(
            TrafficTarget.Of(fixture.Lab, from, address, PortOf(kind, service, protocol == ConnectProtocol.Http ? 80 : 7)),
            protocol, patience ?? LabFixture.Timeout);

    /// <summary>To node-a: by its address, or by its loopback.</summary>
    private TrafficTarget ToNode(string from, int port, bool ipv6)
    {
        LabNode node = fixture.Topology.Node("node-a");
        return from == Loopback
            ? TrafficTarget.Of(fixture.Lab, node.Name, IpAddr.Parse(ipv6 ? "::1" : "127.0.0.1"), port)
            : TrafficTarget.Of(fixture.Lab, from, ipv6 ? node.Ipv6 : node.Ipv4, port);
    }

    private IpAddr AddressOf(string kind, string service, bool ipv6) => fixture.AddressOf(kind, service, ipv6);

    private int PortOf(string kind, string service, int port) => fixture.PortOf(kind, service, port);
}

[Collection(ExposedLabCollection.Name)]
public sealed class ExternalTraffic_with_offloads(ExposedLabFixture fixture) : ExternalTrafficTests(fixture);

[Collection(PlainExposedLabCollection.Name)]
public sealed class ExternalTraffic_without_offloads(PlainExposedLabFixture fixture) : ExternalTrafficTests(fixture);

[Collection(BridgedExposedLabCollection.Name)]
public sealed class ExternalTraffic_with_bridged_pods(BridgedExposedLabFixture fixture) : ExternalTrafficTests(fixture);
