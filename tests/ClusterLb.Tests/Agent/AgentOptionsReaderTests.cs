using System.Net;
using ClusterLb.Agent;
using ClusterLb.Agent.Configuration;
using ClusterLb.Agent.Steering;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Agent;

public sealed class AgentOptionsReaderTests
{
    /// <summary>kubeadm's ConfigMap, word for word, and a document of ours behind it.</summary>
    private const string KubeadmAndOurs = """
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        bindAddress: 0.0.0.0
        bindAddressHardFail: false
        clientConnection:
          acceptContentTypes: ""
          burst: 0
          contentType: ""
          kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
          qps: 0
        clusterCIDR: 10.244.0.0/16,fd10:244::/48
        configSyncPeriod: 0s
        conntrack:
          maxPerCore: null
          min: null
          tcpBeLiberal: false
          tcpCloseWaitTimeout: null
          tcpEstablishedTimeout: 2h0m0s
          udpStreamTimeout: 0s
          udpTimeout: 45s
        detectLocal:
          bridgeInterface: ""
          interfaceNamePrefix: ""
        detectLocalMode: ""
        enableProfiling: false
        healthzBindAddress: ""
        hostnameOverride: node-a
        iptables:
          localhostNodePorts: null
          masqueradeAll: true
          masqueradeBit: null
          minSyncPeriod: 0s
          syncPeriod: 1m0s
        ipvs:
          excludeCIDRs: null
          minSyncPeriod: 0s
          scheduler: ""
          strictARP: false
          syncPeriod: 0s
          tcpFinTimeout: 0s
          tcpTimeout: 0s
          udpTimeout: 0s
        kind: KubeProxyConfiguration
        logging:
          flushFrequency: 0
          options:
            json:
              infoBufferSize: "0"
          verbosity: 0
        metricsBindAddress: 0.0.0.0:10250
        mode: ""
        nftables:
          masqueradeAll: false
          masqueradeBit: null
          minSyncPeriod: 0s
          syncPeriod: 0s
        nodePortAddresses: null
        oomScoreAdj: null
        portRange: ""
        showHiddenMetricsForVersion: ""
        winkernel:
          enableDSR: false
          forwardHealthCheckVip: false
          networkName: ""
          rootHnsEndpointName: ""
          sourceVip: ""
        ---
        apiVersion: clusterlb.io/v1alpha1
        kind: ClusterLbConfiguration
        serviceCIDRs: [10.96.0.0/12, "fd00:10:96::/108"]
        tun: {name: lb0, queues: 4, mtu: 1450}
        steering:
          replyMark: 0x400000
          originalMark: 8388608
          serviceTable: 300
          markTable: 310
          rulePriorities: {fromTun: 11, mark: 21, services: 41, local: 101}
          acceptForwarding: true
          bridgedPods: masquerade
        maps: {services: 1024, backends: 2048}
        conntrack: {ipv4: 4096, tcpSynTimeout: 30s}
        dataplane: {onStop: stop, answerPing: true, nice: -5}
        admin: {group: wheel}
        apiServers: ["https://10.0.0.1:6443", "https://[fd00::2]:6443"]
        loadBalancer: {externalIPs: false}
        """;

    [Fact]
    public void Reads_a_kubeadm_file_and_our_document()
    {
        AgentOptionsResult result = AgentOptionsReader.Read(KubeadmAndOurs, "config.yaml");

        Assert.Empty(result.Problems);
        Assert.Empty(result.Warnings);
        AgentOptions options = result.Options;
        Assert.Empty(options.Problems());
        Assert.Equal("node-a", options.NodeName);
        Assert.Equal(new IPEndPoint(IPAddress.Any, 10256), options.HealthzBindAddress);
        Assert.Equal(new IPEndPoint(IPAddress.Any, 10250), options.MetricsBindAddress);
        Assert.True(options.MasqueradeAll);
        Assert.True(options.LocalhostNodePorts);
        Assert.Equal(TimeSpan.FromMinutes(1), options.SyncPeriod);
        Assert.Equal(TimeSpan.FromSeconds(1), options.MinSyncPeriod);
        Assert.Equal(DetectLocalMode.ClusterCidr, options.DetectLocalMode);
        Assert.Equal([IpPrefix.Parse("10.244.0.0/16"), IpPrefix.Parse("fd10:244::/48")], options.ClusterCidrs);
        Assert.Equal([IpPrefix.Parse("10.96.0.0/12"), IpPrefix.Parse("fd00:10:96::/108")], options.ServiceCidrs);
        Assert.Equal(TimeSpan.FromHours(2), options.Conntrack.TcpEstablishedTimeout);
        Assert.Equal(TimeSpan.FromSeconds(45), options.Conntrack.UdpTimeout);
        Assert.Equal(TimeSpan.FromSeconds(180), options.Conntrack.UdpStreamTimeout);
        Assert.Equal(TimeSpan.FromSeconds(30), options.Conntrack.TcpSynTimeout);
        Assert.Equal(4096, options.Conntrack.Capacities.Ipv4);
        Assert.Equal(("lb0", 4), (options.Tun.Name, options.Tun.Queues));
        Assert.Equal((1450, 0x40_0000u, 0x80_0000u), (options.Steering.Mtu, options.Steering.ReplyMark, options.Steering.OriginalMark));
        Assert.Equal((300, 310), (options.Steering.ServiceTable, options.Steering.MarkTable));
        Assert.Equal((11, 21, 41, 101), (options.Steering.EmittedPriority, options.Steering.MarkPriority, options.Steering.ServicePriority, options.Steering.LocalPriority));
        Assert.True(options.Steering is { AcceptForwarding: true, BridgedPods: BridgeFix.Masquerade });
        Assert.Equal((1024, 2048, 65_536), (options.Maps.Services, options.Maps.Backends, options.Maps.Frontends));
        Assert.True(options.Dataplane is { StopWithAgent: true, AnswerPing: true, Nice: -5 });
        Assert.False(options.ServesExternalIps);
        Assert.Equal("wheel", options.AdminGroup);
        Assert.Equal("/var/lib/kube-proxy/kubeconfig.conf", options.KubeconfigFile);
        Assert.Equal(["https://10.0.0.1:6443/", "https://[fd00::2]:6443/"], options.ApiServers.Select(server => server.ToString()));
        Assert.Null(options.ManifestDirectory);
    }

    [Fact]
    public void A_kubeconfig_and_manifests_together_are_a_problem_that_names_both()
    {
        AgentOptionsResult result = AgentOptionsReader.Read(KubeadmAndOurs + "\nmanifests: /etc/clusterlb/manifests\n", "config.yaml");

        string problem = Assert.Single(result.Options.Problems());
        Assert.Contains("/etc/clusterlb/manifests", problem, StringComparison.Ordinal);
        Assert.Contains("/var/lib/kube-proxy/kubeconfig.conf", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://10.0.0.1:6443", "is not https")]
    [InlineData("https://user@10.0.0.1", "more than host")]
    [InlineData("https://", "is not an address")]
    public void An_address_of_a_server_that_cannot_be_used_is_named(string address, string why) =>
        Assert.Contains(
            AgentOptionsReader.Read($"apiVersion: clusterlb.io/v1alpha1\nkind: ClusterLbConfiguration\napiServers: ['{address}']\n", "x").Problems,
            problem => problem.Contains(why, StringComparison.Ordinal) && problem.Contains(address, StringComparison.Ordinal));

    [Theory]
    [InlineData("BridgeInterface", DetectLocalMode.BridgeInterface, "cni0")]
    [InlineData("InterfaceNamePrefix", DetectLocalMode.InterfaceNamePrefix, "veth")]
    [InlineData("NodeCIDR", DetectLocalMode.NodeCidr, "")]
    public void Pods_can_be_told_by_their_interfaces(string mode, DetectLocalMode expected, string name)
    {
        AgentOptionsResult result = ReadDetection(mode, "cni0", "veth");

        Assert.Empty(result.Problems);
        Assert.Equal((expected, name), (result.Options.DetectLocalMode, result.Options.LocalInterface));
    }

    [Theory]
    [InlineData("BridgeInterface", "detectLocal.bridgeInterface is ''")]
    [InlineData("InterfaceNamePrefix", "detectLocal.interfaceNamePrefix is ''")]
    public void A_mode_that_needs_an_interface_says_so(string mode, string problem) =>
        Assert.Contains(problem, Assert.Single(ReadDetection(mode, "", "").Problems), StringComparison.Ordinal);

    private static AgentOptionsResult ReadDetection(string mode, string bridge, string prefix) => AgentOptionsReader.Read(
        $$"""
        apiVersion: kubeproxy.config.k8s.io/v1alpha1
        kind: KubeProxyConfiguration
        detectLocalMode: {{mode}}
        detectLocal: { bridgeInterface: "{{bridge}}", interfaceNamePrefix: "{{prefix}}" }
        """,
        "config.yaml");

    [Theory]
    [InlineData("mh", "{}", 256)]
    [InlineData("rr", "{}", 64)]
    [InlineData("mh", "{maglevTables: 100}", 100)]
    [InlineData("mh", "{maglevTables: 64}", 64)] // the usual number, but said
    public void Where_all_services_choose_by_a_hash_there_is_room_for_their_tables(string scheduler, string maps, int tables) =>
        Assert.Equal(tables, AgentOptionsReader.Read(
            $"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nipvs: {{scheduler: {scheduler}}}\n---\n" +
            $"apiVersion: clusterlb.io/v1alpha1\nkind: ClusterLbConfiguration\nmaps: {maps}\n", "x").Options.Maps.MaglevTables);

    [Fact]
    public void Either_document_alone_is_enough_and_an_empty_one_is_all_defaults()
    {
        AgentOptions defaults = new();
        Assert.Equal(defaults.Steering, AgentOptionsReader.Read("apiVersion: clusterlb.io/v1alpha1\nkind: ClusterLbConfiguration\n", "x").Options.Steering);
        Assert.Equal(defaults.NodeName, AgentOptionsReader.Read("", "x").Options.NodeName);
        Assert.Empty(defaults.Problems());
    }

    [Fact]
    public void All_problems_are_found_at_once_and_name_file_line_and_field()
    {
        AgentOptionsResult result = AgentOptionsReader.Read(
            """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            mode: kernelspace
            clusterCIDR: 10.244.0.0
            detectLocalMode: Magic
            healthzBindAddress: nowhere
            iptables: {syncPeriod: 30}
            conntrack: [1]
            ---
            apiVersion: clusterlb.io/v1alpha1
            kind: ClusterLbConfiguration
            tun: {queues: many}
            dataplane: {onStop: explode}
            maps: {services: 5%}
            steering: {bridgedPods: perhaps}
            ---
            apiVersion: v1
            kind: Pod
            """,
            "config.yaml");

        string[] want =
        [
            "config.yaml:3: mode is 'kernelspace', but must be empty, iptables, ipvs or nftables.",
            "config.yaml:7: iptables.syncPeriod is '30', but must be a duration such as 30s or 1h30m.",
            "config.yaml:5: detectLocalMode is 'Magic', but must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix.",
            "config.yaml:4: clusterCIDR has '10.244.0.0', which is not an address block (address/length).",
            "config.yaml:8: conntrack is a list, but must be a mapping.",
            "config.yaml:6: healthzBindAddress is 'nowhere', but must be address or address:port.",
            "config.yaml:14: maps.services is '5%', but must be a whole number of 32 bits.",
            "config.yaml:12: tun.queues is 'many', but must be a whole number of 32 bits.",
            "config.yaml:15: steering.bridgedPods is 'perhaps', but must be auto, connectionMark, routed or masquerade.",
            "config.yaml:13: dataplane.onStop is 'explode', but must be keep or stop.",
            "config.yaml:17: a document is of kind 'v1 Pod', but must be kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration or clusterlb.io/v1alpha1 ClusterLbConfiguration.",
        ];
        Assert.Equal(want.Order(StringComparer.Ordinal), result.Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Unknown_fields_and_foreign_modes_warn()
    {
        AgentOptionsResult result = AgentOptionsReader.Read(
            """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            clusterCIDR: 10.244.0.0/16
            mode: ipvs
            iptables: {masqueradeBits: 3}
            flux: {capacitor: true}
            """,
            "config.yaml");

        Assert.Empty(result.Problems);
        Assert.Equal(3, result.Warnings.Count);
        Assert.Contains("mode is 'ipvs'", result.Warnings[0]);
        Assert.Equal("config.yaml:6: unknown field flux, ignored.", result.Warnings[1]);
        Assert.Equal("config.yaml:5: unknown field iptables.masqueradeBits, ignored.", result.Warnings[2]);
    }

    [Fact]
    public void What_is_not_YAML_is_said_with_its_line() =>
        Assert.StartsWith("f:2: not YAML:", Assert.Single(AgentOptionsReader.Read("a: 1\n b: [\n", "f").Problems));

    [Fact]
    public void What_becomes_of_flows_is_configured()
    {
        AgentOptionsResult result = Ours("""
            loadBalancer: {onBackendGone: reset}
            conntrack: {snatPorts: "5000-5999, 61000-62000", nodePortRange: 20000-22767, midStream: drop}
            """);

        Assert.Empty(result.Problems.Concat(result.Warnings));
        Assert.Equal(BackendGonePolicy.Reset, result.Options.Selection.BackendGone);
        Assert.Equal(new SnatPortRanges(5_000, 5_999, 61_000, 62_000), result.Options.Conntrack.SnatPorts);
        Assert.True(result.Options.Conntrack.DropMidStream);
        Assert.Equal(result.Options.Conntrack.SnatPorts, result.Options.Conntrack.ToTimeouts().SnatPorts);
        Assert.DoesNotContain(result.Options.Problems(), problem => problem.Contains("conntrack", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("conntrack: {snatPorts: 5000}", "conntrack.snatPorts is '5000', but must be one or two ranges of ports")]
    [InlineData("conntrack: {snatPorts: 6000-5000}", "must be one or two ranges")]
    [InlineData("conntrack: {snatPorts: 0-5000}", "must be one or two ranges")]
    [InlineData("conntrack: {snatPorts: 5000-70000}", "must be one or two ranges")]
    [InlineData("conntrack: {snatPorts: '5000-6000,6000-7000'}", "must be one or two ranges of ports that share none")]
    [InlineData("conntrack: {snatPorts: '1-2,3-4,5-6'}", "must be one or two ranges")]
    [InlineData("conntrack: {midStream: guess}", "conntrack.midStream is 'guess', but must be reset or drop")]
    [InlineData("loadBalancer: {onBackendGone: hope}", "loadBalancer.onBackendGone is 'hope', but must be one of drain, reset, keep")]
    public void What_is_wrong_about_flows_is_told(string yaml, string problem) =>
        Assert.Contains(problem, Assert.Single(Ours(yaml).Problems), StringComparison.Ordinal);

    [Theory]
    [InlineData("32000-33000", "30000-32767", "32000-32767 are node ports (conntrack.nodePortRange is 30000-32767)")]
    [InlineData("61000-62000,1024-30000", "30000-32767", "30000-30000 are node ports")]
    [InlineData("1024-29999", "20000-20100", "20000-20100 are node ports")]
    public void Source_ports_that_are_node_ports_are_a_problem(string snat, string nodePorts, string problem) => Assert.Contains(
        problem,
        Assert.Single(Ours($"conntrack: {{snatPorts: '{snat}', nodePortRange: {nodePorts}}}").Options.Problems(), p => p.Contains("conntrack", StringComparison.Ordinal)),
        StringComparison.Ordinal);

    private static AgentOptionsResult Ours(string fields) => AgentOptionsReader.Read(
        $"apiVersion: clusterlb.io/v1alpha1\nkind: ClusterLbConfiguration\n{fields}\n", "config.yaml");

    [Fact]
    public void Values_that_contradict_each_other_are_all_reported()
    {
        string[] problems = [.. (new AgentOptions
        {
            StateDirectory = "relative",
            SyncPeriod = TimeSpan.Zero,
            Steering = new() { ReplyMark = 3, MarkTable = 200, LocalPriority = 5, Mtu = 100 },
            Maps = new() { Services = 0 },
            Conntrack = new() { Capacities = new() { Ipv6 = 3 }, UdpTimeout = TimeSpan.FromDays(100) },
            Tun = new() { Name = "a name that is too long", Queues = 0 },
        }).Problems()];

        string[] fields = ["state directory", "syncPeriod", "tun.name", "tun.queues", "steering.replyMark", "steering.serviceTable",
            "steering.rulePriorities", "tun.mtu", "maps.services", "conntrack capacity for IPv6", "conntrack.udpTimeout"];
        Assert.Equal(fields.Length, problems.Length);
        Assert.All(fields.Zip(problems), pair => Assert.Contains(pair.First, pair.Second));
    }

    [Fact]
    public void Flags_beat_the_environment_and_the_environment_beats_the_file()
    {
        var problems = new List<string>();
        var variables = new Dictionary<string, string> { ["NODE_NAME"] = "from-env", ["CLUSTERLB_STATE_DIR"] = "/env", ["CLUSTERLB_V"] = "4" };
        AgentOverrides environment = AgentOverrides.FromEnvironment(variables.GetValueOrDefault, problems);
        AgentOptions options = new AgentOverrides { StateDirectory = "/flag", HealthzBindAddress = "[::1]:9", MetricsBindAddress = "" }
            .Over(environment).ApplyTo(new AgentOptions { NodeName = "from-file" }, problems);

        Assert.Empty(problems);
        Assert.Equal(("from-env", "/flag", 4), (options.NodeName, options.StateDirectory, options.Verbosity));
        Assert.Equal(new IPEndPoint(IPAddress.IPv6Loopback, 9), options.HealthzBindAddress);
        Assert.Null(options.MetricsBindAddress);
    }

    [Theory]
    [InlineData("30s", 30_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1.5h", 5_400_000)]
    [InlineData("250ms", 250)]
    [InlineData("0", 0)]
    [InlineData("24h0m0s", 86_400_000)]
    [InlineData("-1s", -1_000)]
    public void Reads_durations_as_Go_writes_them(string text, double milliseconds)
    {
        Assert.True(GoDuration.TryParse(text, out TimeSpan duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("30")]
    [InlineData("s")]
    [InlineData("1d")]
    [InlineData("1 s")]
    [InlineData("999999999999h")]
    public void Refuses_what_Go_would_refuse(string text) => Assert.False(GoDuration.TryParse(text, out _));
}
