using ClusterLb.Agent.Explain;
using ClusterLb.Cli.Output;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Packets;

namespace ClusterLb.Tests.Cli;

/// <summary>Explanations of single tuples, from manifests through compiler and pipeline to the text that people read.</summary>
public sealed class ExplainTests : IDisposable
{
    private const string Manifests = WebManifests.Node + WebManifests.Web + """
        endpoints:
        - { addresses: [10.244.1.5], nodeName: node-a }
        - { addresses: [10.244.2.5], nodeName: node-b }
        ---
        apiVersion: v1
        kind: Service
        metadata: { name: empty, namespace: default }
        spec:
          clusterIP: 10.96.0.11
          clusterIPs: [10.96.0.11]
          ipFamilies: [IPv4]
          ports: [ { port: 53, protocol: UDP } ]
        """;

    private const string Hinted = """
        apiVersion: v1
        kind: Service
        metadata: { name: hinted, namespace: default }
        spec:
          type: NodePort
          externalTrafficPolicy: Local
          clusterIP: 10.96.0.20
          clusterIPs: [10.96.0.20]
          ipFamilies: [IPv4]
          ports: [ { name: http, port: 80, protocol: TCP, nodePort: 30080 } ]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: { name: hinted-1, namespace: default, labels: { kubernetes.io/service-name: hinted } }
        addressType: IPv4
        ports: [ { name: http, port: 8080, protocol: TCP } ]
        endpoints:
        - { addresses: [10.244.1.7], nodeName: node-a, hints: { forZones: [ { name: za } ] } }
        - { addresses: [10.244.2.7], nodeName: node-b, hints: { forZones: [ { name: zb } ] } }
        - { addresses: [10.244.2.8], nodeName: node-b, conditions: { ready: false } }
        - { addresses: [10.244.2.9], nodeName: node-b, conditions: { ready: false, serving: true, terminating: true } }
        """;

    private const string Config = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        clusterCIDR: 10.244.0.0/16
        ---
        apiVersion: clusterlb.io/v1alpha1
        kind: ClusterLbConfiguration
        serviceCIDRs: [10.96.0.0/16]
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("clusterlb-explain-").FullName;

    public ExplainTests()
    {
        Directory.CreateDirectory(Path.Combine(_directory, "manifests"));
        File.WriteAllText(Path.Combine(_directory, "manifests", "cluster.yaml"), Manifests);
        File.WriteAllText(Path.Combine(_directory, "config.yaml"), Config);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_pod_that_dials_a_cluster_ip_sees_every_backend_and_its_own_address() =>
        Assert.Equal(
            """
            TCP 10.244.1.2:40000 -> 10.96.0.10:80

            source        pod range
            destination   service range
            conntrack     no flow of this tuple: what follows is a new connection
            frontend      10.96.0.10:80/TCP, ClusterIP of default/web:http (id 1)
            backends      2 slots, the same for every source
            choice        at random, for every new connection
            verdict       forward
            why           The destination is a frontend of default/web:http, which has backends for this source.

            slot 1: 10.244.1.5:8080
              sent as     TCP 10.244.1.2:40000 -> 10.244.1.5:8080
              masquerade  no, client address kept: the answer comes back to this node by itself
              answer      TCP 10.96.0.10:80 -> 10.244.1.2:40000

            slot 2: 10.244.2.5:8080
              sent as     TCP 10.244.1.2:40000 -> 10.244.2.5:8080
              masquerade  no, client address kept: the answer comes back to this node by itself
              answer      TCP 10.96.0.10:80 -> 10.244.1.2:40000

            """,
            WithoutId((await Explain("tcp 10.244.1.2:40000 10.96.0.10:80")).Out));

    [Theory]
    [InlineData("tcp 10.244.1.5:40000 10.96.0.10:80", "hairpin: client and backend are the same pod")]
    [InlineData("tcp 203.0.113.9:1234 10.96.0.10:80", "the client is not a pod, so the answer must be made to come back")]
    [InlineData("tcp 10.244.1.2:40000 10.96.0.10:81", "verdict       reject (UnknownServicePort)")]
    [InlineData("tcp 10.244.1.2:40000 10.96.0.10:81", "near: 10.96.0.10:80/TCP (default/web:http): other port")]
    [InlineData("udp 10.244.1.2:40000 10.96.0.11:53", "verdict       reject (NoBackend)")]
    [InlineData("udp 10.244.1.2:40000 10.96.0.11:53", "has no usable endpoint anywhere")]
    [InlineData("tcp 10.244.1.2:40000 10.96.0.99:80", "verdict       drop (UnknownServiceAddress)")]
    [InlineData("tcp 10.244.1.2:40000 10.96.0.99:80", "near: 10.96.0.10:80/TCP (default/web:http): other address")]
    [InlineData("tcp 10.244.1.2:40000 8.8.8.8:443", "verdict       pass")]
    public async Task It_says_what_becomes_of_a_packet_and_why(string tuple, string says)
    {
        CliRun run = await Explain(tuple);

        Assert.Equal(0, run.Status);
        Assert.Contains(says, run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("maglev", "chosen by   the hash of the flow: slot")]
    [InlineData("source-hash", "chosen by   the hash of the client's address: slot")]
    [InlineData("destination-hash", "chosen by   the hash of what is dialled: slot")]
    [InlineData("round-robin", "chosen by   its turn")]
    [InlineData("least-connections", "chosen by   no other backend has fewer active flows")]
    [InlineData("shortest-expected-delay", "chosen by   no other backend has a shorter expected delay")]
    public async Task It_names_the_algorithm_and_what_it_led_to(string algorithm, string chosenBy)
    {
        await Annotate($"clusterlb.io/lb-algorithm: {algorithm}");

        string text = (await Explain("tcp 10.244.1.2:40000 10.96.0.10:80")).Out;

        Assert.Contains($"choice        {algorithm}, for every new connection", text, StringComparison.Ordinal);
        Assert.Contains(chosenBy, text, StringComparison.Ordinal);
        bool oneBackend = algorithm.Contains("hash", StringComparison.Ordinal) || algorithm == "maglev";
        Assert.Equal(oneBackend ? 1 : 2, text.Split("sent as").Length - 1);
    }

    [Fact]
    public async Task Of_a_split_it_shows_the_backends_of_both_services()
    {
        await Annotate("clusterlb.io/split: web-canary=1");
        await File.WriteAllTextAsync(
            Path.Combine(_directory, "manifests", "canary.yaml"),
            Manifests.Replace("web", "web-canary", StringComparison.Ordinal).Replace("10.96.0.10", "10.96.0.12", StringComparison.Ordinal)
                .Replace("10.244.", "10.245.", StringComparison.Ordinal).Split("---", 2)[1]);

        string text = (await Explain("tcp 10.244.1.2:40000 10.96.0.10:80")).Out;

        Assert.Contains("split         1% of the new connections go to 2 backends of another service", text, StringComparison.Ordinal);
        Assert.Contains("slot 1 of the canary: 10.245.1.5:8080", text, StringComparison.Ordinal);
        Assert.Contains("slot 2 of the canary: 10.245.2.5:8080", text, StringComparison.Ordinal);
        Assert.Contains("slot 2: 10.244.2.5:8080", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_says_who_is_left_out_and_why_hints_were_not_used()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "manifests", "hinted.yaml"), Hinted);

        string inside = (await Explain("tcp 10.244.1.2:40000 10.96.0.20:80")).Out;
        Assert.Contains("hints         zone mode off: the zone of this node is not known", inside, StringComparison.Ordinal);
        Assert.Contains("left out      10.244.2.8:8080/TCP: not ready", inside, StringComparison.Ordinal);
        Assert.Contains("left out      10.244.2.9:8080/TCP: terminating, and ready ones exist", inside, StringComparison.Ordinal);

        string outside = (await Explain("tcp 8.8.8.8:40000 192.168.0.2:30080")).Out;
        Assert.Contains("left out      10.244.2.7:8080/TCP: on node node-b, this is node-a", outside, StringComparison.Ordinal);
        Assert.DoesNotContain("hints", outside, StringComparison.Ordinal); // they never narrow a local set
    }

    [Fact]
    public async Task A_loopback_source_is_this_node()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "manifests", "hinted.yaml"), Hinted.Replace("nodeName: node-a", "nodeName: node-b", StringComparison.Ordinal));

        string text = (await Explain("tcp 127.0.0.1:40000 127.0.0.1:30080")).Out;

        Assert.Contains("source        this node", text, StringComparison.Ordinal);
        Assert.Contains("backends      2 slots, the internal set, because of the source", text, StringComparison.Ordinal);
        Assert.Contains("masquerade  yes, this node itself dials a frontend of policy Local", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Problems_of_manifests_are_said_beside_the_explanation()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "manifests", "bad.yaml"), "kind: [unclosed");

        CliRun run = await Explain("tcp 10.244.1.2:40000 10.96.0.10:80");

        Assert.Equal(0, run.Status);
        Assert.Contains("bad.yaml", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_frontend_with_many_slots_shows_each_backend_once()
    {
        using SharedLbMaps maps = SharedLbMaps.CreateInMemory(LbMapCapacities.Small);
        var key = new ServiceKey(IpAddr.Parse("10.96.0.10"), 80, IpProtocol.Tcp, LookupScope.External, 0);
        const uint count = 257;
        for (uint slot = 1; slot <= count; slot++)
        {
            maps.Backends.Update(slot, new BackendEntry(IpAddr.FromIpv4(0x0AF4_0000 + slot), 8080, IpProtocol.Tcp, BackendState.Active));
            maps.Services.Update(key with { Slot = slot }, new ServiceEntry { BackendId = slot, RevNatId = 1, ServicePortId = 1 });
        }

        maps.ReverseNat.Update(1, new ReverseNatEntry(key.Address, key.Port, key.Protocol));
        maps.Services.Update(key, new ServiceEntry { Count = count, RevNatId = 1, ServicePortId = 1, Flags = ServiceFlags.EndpointsExist });
        maps.Node.Update(0, NodeEntry.Default with { Flags = NodeFlags.Synced | NodeFlags.NoLocalDetection });

        Explanation explanation = new Explainer(maps).Explain(
            new FlowTuple(IpAddr.Parse("10.244.9.9"), key.Address, 40000, 80, IpProtocol.Tcp));

        Assert.Equal("forward", explanation.Verdict);
        Assert.Equal(Enumerable.Range(1, (int)count).Select(i => (uint?)i), explanation.Backends.Select(b => b.Slot));
        Assert.All(explanation.Backends, backend => Assert.True(backend.AnswerIsFromFrontend, backend.Answer));
    }

    private Task Annotate(string annotation) => File.WriteAllTextAsync(
        Path.Combine(_directory, "manifests", "cluster.yaml"),
        Manifests.Replace(
            "metadata: { name: web, namespace: default }",
            $"metadata: {{ name: web, namespace: default, annotations: {{ {annotation} }} }}",
            StringComparison.Ordinal));

    private Task<CliRun> Explain(string tuple) => CliRun.Of(
    [
        "explain", .. tuple.Split(' '),
        "--manifests", Path.Combine(_directory, "manifests"), "--config", Path.Combine(_directory, "config.yaml"), "--node", "node-a",
    ]);

    /// <summary>Which id a frontend has depends on the order of objects.</summary>
    private static string WithoutId(string text) => System.Text.RegularExpressions.Regex.Replace(text, @"\(id \d+\)", "(id 1)");
}
