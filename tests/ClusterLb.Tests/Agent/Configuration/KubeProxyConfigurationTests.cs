using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using ClusterLb.Agent;
using ClusterLb.Agent.Configuration;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Tests.House;

namespace ClusterLb.Tests.Agent.Configuration;

/// <summary>kube-proxy's own file, as it is: what counts, what is said of the rest, and what the real kube-proxy says of it.</summary>
public sealed class KubeProxyConfigurationTests
{
    private const string Folder = "tests/ClusterLb.Tests/Agent/Configuration";

    [Fact]
    public void Upstreams_defaults_are_ours_and_warn_of_exactly_what_has_no_effect()
    {
        AgentOptionsResult read = Read("upstream-defaults.yaml");

        Assert.Empty(read.Problems);
        Assert.Empty(read.Options.Problems());
        Assert.Equal(
            ["8 clientConnection.burst", "9 clientConnection.contentType", "11 clientConnection.qps", "12 clusterCIDR",
                "32 iptables.masqueradeBit", "54 mode", "57 nftables.masqueradeBit"],
            Fields(read.Warnings));
        Assert.Equal(new AgentOptions().SyncPeriod, read.Options.SyncPeriod);
        Assert.Equal(new AgentOptions().MinSyncPeriod, read.Options.MinSyncPeriod);
        Assert.Equal(new AgentOptions().Conntrack, read.Options.Conntrack);
        Assert.Equal(new AgentOptions().KernelConntrack, read.Options.KernelConntrack);
        Assert.Equal(new AgentOptions().NodeName, read.Options.NodeName);
        Assert.Equal(new AgentOptions().OomScoreAdj, read.Options.OomScoreAdj);
        Assert.Equal(new AgentOptions().ConfigSyncPeriod, read.Options.ConfigSyncPeriod);
        Assert.Equal(new AgentOptions().HealthzBindAddress, read.Options.HealthzBindAddress);
        Assert.Equal(new AgentOptions().MetricsBindAddress, read.Options.MetricsBindAddress);
        Assert.Null(read.Options.PrimaryAddress);
        Assert.Null(read.Options.KubeconfigFile);
    }

    [Fact]
    public void The_file_that_kubeadm_writes_is_taken_as_it_is()
    {
        AgentOptionsResult read = Read("kubeadm.yaml");

        Assert.Empty(read.Problems);
        Assert.Empty(read.Options.Problems());
        Assert.Empty(read.Warnings); // zeros and nulls are defaults, and nothing is set that has no effect
        Assert.Equal("/var/lib/kube-proxy/kubeconfig.conf", read.Options.KubeconfigFile);
        Assert.Equal(new AgentOptions().SyncPeriod, read.Options.SyncPeriod);
        Assert.Equal(new AgentOptions().MinSyncPeriod, read.Options.MinSyncPeriod);
        Assert.Equal(new AgentOptions().ConfigSyncPeriod, read.Options.ConfigSyncPeriod);
        Assert.Equal(new AgentOptions().KernelConntrack, read.Options.KernelConntrack);
        Assert.Equal(new AgentOptions().HealthzBindAddress, read.Options.HealthzBindAddress);
        Assert.Equal(new AgentOptions().MetricsBindAddress, read.Options.MetricsBindAddress);
    }

    [Fact]
    public void Every_field_that_counts_is_read()
    {
        AgentOptionsResult read = Read("everything-set.yaml");

        Assert.Empty(read.Problems);
        AgentOptions options = read.Options;
        Assert.Empty(options.Problems());
        Assert.Equal("/var/lib/kube-proxy/kubeconfig.conf", options.KubeconfigFile);
        Assert.Equal((LogFormat.Text, 4), (options.LogFormat, options.Verbosity));
        Assert.Equal("node-a", options.NodeName);
        Assert.Equal(IpAddr.Parse("192.0.2.7"), options.PrimaryAddress);
        Assert.Equal(IPEndPoint.Parse("192.0.2.7:20256"), options.HealthzBindAddress);
        Assert.Equal(IPEndPoint.Parse("[::1]:20249"), options.MetricsBindAddress);
        Assert.True(options.BindAddressHardFail && options.EnableProfiling);
        Assert.Equal((TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(3)), (options.SyncPeriod, options.MinSyncPeriod));
        Assert.Equal(DetectLocalMode.NodeCidr, options.DetectLocalMode);
        Assert.Equal(["10.244.0.0/16", "fd10:244::/48"], options.ClusterCidrs.Select(c => c.ToString()));
        Assert.Equal(["192.0.2.0/24", "2001:db8::/64"], options.NodePortAddresses.Select(c => c.ToString()));
        Assert.Equal(-500, options.OomScoreAdj);
        Assert.Equal(TimeSpan.FromMinutes(5), options.ConfigSyncPeriod);
        Assert.Equal(
            new KernelConntrackOptions
            {
                MaxPerCore = 1024,
                Min = 4096,
                TcpEstablishedTimeout = TimeSpan.FromHours(2),
                TcpCloseWaitTimeout = TimeSpan.FromMinutes(30),
                TcpBeLiberal = true,
                UdpTimeout = TimeSpan.FromSeconds(40),
                UdpStreamTimeout = TimeSpan.FromSeconds(200),
            },
            options.KernelConntrack);

        // IPVS mode has timeouts of its own; they beat those of conntrack.
        Assert.Equal(TimeSpan.FromMinutes(30), options.Conntrack.TcpEstablishedTimeout);
        Assert.Equal(TimeSpan.FromSeconds(20), options.Conntrack.TcpClosingTimeout);
        Assert.Equal(TimeSpan.FromSeconds(50), options.Conntrack.UdpTimeout);
        Assert.Equal(
            ["4 featureGates", "8 clientConnection.acceptContentTypes", "9 clientConnection.contentType", "10 clientConnection.qps",
                "11 clientConnection.burst", "16 logging.vmodule", "25 showHiddenMetricsForVersion", "26 mode", "28 iptables.masqueradeBit",
                "37 ipvs.excludeCIDRs", "43 nftables.masqueradeBit", "47 winkernel", "65 portRange", "66 windowsRunAsService"],
            Fields(read.Warnings));
    }

    [Theory]
    [InlineData("iptables", 120, 2, false, false)]
    [InlineData("ipvs", 60, 3, false, true)]
    [InlineData("nftables", 240, 4, true, true)]
    public void Of_the_modes_blocks_only_the_chosen_one_counts_and_the_flag_chooses_too(
        string mode, int syncSeconds, int minSeconds, bool masqueradeAll, bool localhostNodePorts)
    {
        string text = Repository.Read($"{Folder}/everything-set.yaml");
        AgentOptions byField = AgentOptionsReader.Read(text.Replace("mode: ipvs", $"mode: {mode}", StringComparison.Ordinal), "f").Options;
        AgentOptions byFlag = AgentOptionsReader.Read(text, "f", mode).Options;

        foreach (AgentOptions options in new[] { byField, byFlag })
        {
            Assert.Equal(TimeSpan.FromSeconds(syncSeconds), options.SyncPeriod);
            Assert.Equal(TimeSpan.FromSeconds(minSeconds), options.MinSyncPeriod);
            Assert.Equal((masqueradeAll, localhostNodePorts), (options.MasqueradeAll, options.LocalhostNodePorts));
        }
    }

    [Fact]
    public void Every_wrong_value_is_found_in_one_go_with_its_line_and_its_path()
    {
        AgentOptionsResult read = Read("all-wrong.yaml");

        string[] wrong =
        [
            "3 mode", "4 bindAddress", "5 healthzBindAddress", "6 metricsBindAddress", "7 bindAddressHardFail", "8 hostnameOverride",
            "9 clusterCIDR", "10 detectLocalMode", "11 nodePortAddresses", "11 nodePortAddresses", "12 oomScoreAdj",
            "13 configSyncPeriod", "14 enableProfiling", "16 clientConnection.qps", "17 clientConnection.burst", "19 logging.format",
            "20 logging.verbosity", "22 iptables.masqueradeBit", "23 iptables.masqueradeAll", "24 iptables.localhostNodePorts",
            "25 iptables.syncPeriod", "26 iptables.minSyncPeriod", "28 ipvs.scheduler", "29 ipvs.excludeCIDRs", "30 ipvs.tcpTimeout",
            "31 ipvs.tcpFinTimeout", "32 nftables", "34 conntrack.maxPerCore", "35 conntrack.min", "36 conntrack.tcpEstablishedTimeout",
            "37 conntrack.tcpCloseWaitTimeout", "38 conntrack.tcpBeLiberal", "39 conntrack.udpTimeout",
        ];
        Assert.Equal(wrong, Fields(read.Problems).OrderBy(Line).ThenBy(f => f, StringComparer.Ordinal));
        Assert.Empty(read.Options.Problems()); // nothing is said twice
    }

    [Theory]
    [InlineData("[all]", "0.0.0.0/0 ::/0", false)]
    [InlineData("[localhost, 10.0.0.0/8]", "127.0.0.0/8 ::1/128 10.0.0.0/8", false)]
    [InlineData("[primary]", "", true)]
    [InlineData("[]", "", false)]
    public void Node_port_addresses_are_blocks_or_words_for_some(string list, string prefixes, bool primary)
    {
        AgentOptionsResult read = AgentOptionsReader.Read(
            $"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.0.0.0/8\nnodePortAddresses: {list}\n", "f");

        Assert.Empty(read.Problems);
        Assert.Equal(prefixes, string.Join(' ', read.Options.NodePortAddresses));
        Assert.Equal(primary, read.Options.NodePortsOnPrimaryOnly);
    }

    [Fact]
    public void An_IPv6_bind_address_moves_the_other_defaults_to_its_family()
    {
        AgentOptions options = AgentOptionsReader.Read(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nbindAddress: '::'\n", "f").Options;

        Assert.Equal(IPEndPoint.Parse("[::]:10256"), options.HealthzBindAddress);
        Assert.Equal(IPEndPoint.Parse("[::1]:10249"), options.MetricsBindAddress);
        Assert.Null(options.PrimaryAddress);
    }

    [Theory]
    [InlineData("", "", SelectionAlgorithm.Default)]
    [InlineData("rr", "", SelectionAlgorithm.RoundRobin)]
    [InlineData("wlc", "", SelectionAlgorithm.LeastConnections)]
    [InlineData("mh", "", SelectionAlgorithm.Maglev)]
    [InlineData("nq", "", SelectionAlgorithm.ShortestExpectedDelay)]
    [InlineData("mh", "loadBalancer: {algorithm: round-robin}", SelectionAlgorithm.RoundRobin)]
    public void The_scheduler_is_the_default_algorithm_unless_our_own_document_says_another(string scheduler, string own, SelectionAlgorithm algorithm)
    {
        string kubeProxy = $"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nipvs: {{scheduler: \"{scheduler}\"}}\n";
        string clusterLb = $"apiVersion: clusterlb.io/v1alpha1\nkind: ClusterLbConfiguration\n{own}\n";
        foreach (string yaml in (string[])[$"{kubeProxy}---\n{clusterLb}", $"{clusterLb}---\n{kubeProxy}"])
        {
            AgentOptionsResult read = AgentOptionsReader.Read(yaml, "test");

            Assert.Empty(read.Problems);
            Assert.Equal(algorithm, read.Options.Selection.Algorithm);
        }
    }

    [Fact]
    public void What_is_in_effect_can_be_written_and_read_again()
    {
        AgentOptions options = Read("everything-set.yaml").Options with
        {
            ManifestDirectory = "/etc/clusterlb/manifests: 1",
            ServiceCidrs = [IpPrefix.Parse("10.96.0.0/12")],
            Tun = new() { Name = "lb0", Queues = 3 },
            Maps = new LbMapCapacities { Services = 1024 },
            AdminGroup = "yes",
            MetricsBindAddress = null,
            LogFormat = LogFormat.Json,
        };

        string yaml = EffectiveConfiguration.Yaml(options);
        AgentOptionsResult again = AgentOptionsReader.Read(yaml, "written");

        Assert.Empty(again.Problems);
        Assert.Empty(again.Warnings);
        Assert.Equal(yaml, EffectiveConfiguration.Yaml(again.Options));
        Assert.Equal(options.ManifestDirectory, again.Options.ManifestDirectory);
        Assert.Equal((options.Tun, options.Steering, options.Maps), (again.Options.Tun, again.Options.Steering, again.Options.Maps));
        Assert.Equal(options.KernelConntrack, again.Options.KernelConntrack);
        Assert.Equal((options.AdminGroup, options.OomScoreAdj, options.NodeName), (again.Options.AdminGroup, again.Options.OomScoreAdj, again.Options.NodeName));
        Assert.Null(again.Options.MetricsBindAddress);
    }

    [Fact]
    public void The_kernels_table_grows_with_the_processors_and_zero_leaves_a_setting_alone()
    {
        Assert.Equal(131_072, new KernelConntrackOptions().WantedTableSize(2));
        Assert.Equal(262_144, new KernelConntrackOptions().WantedTableSize(8));
        Assert.Equal(0, new KernelConntrackOptions { MaxPerCore = 0 }.WantedTableSize(64));
        Assert.Equal(
            [("net/netfilter/nf_conntrack_tcp_timeout_established", "86400"), ("net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600")],
            new KernelConntrackOptions().Settings());
    }

    [KubeProxyBinaryFact]
    public void The_real_kube_proxy_takes_the_same_files_and_what_we_write()
    {
        string ours = Path.GetTempFileName();
        try
        {
            File.WriteAllText(ours, EffectiveConfiguration.Yaml(Read("upstream-defaults.yaml").Options));
            foreach (string file in (string[])[Path.Combine(Repository.Root, Folder, "upstream-defaults.yaml"),
                Path.Combine(Repository.Root, Folder, "everything-set.yaml"), ours])
            {
                (int status, string said) = KubeProxy("--config", file, "--write-config-to", "/dev/null");
                Assert.True(status == 0, $"{file}: {said}");
            }
        }
        finally
        {
            File.Delete(ours);
        }
    }

    [KubeProxyBinaryFact]
    public void The_fixture_has_the_fields_that_the_real_kube_proxy_writes()
    {
        string written = Path.GetTempFileName();
        try
        {
            (int status, string said) = KubeProxy("--write-config-to", written);
            Assert.True(status == 0, said);

            // Comment and order aside, line by line.
            Assert.Equal(Lines(File.ReadAllText(written)), Lines(Repository.Read($"{Folder}/upstream-defaults.yaml")));
            Assert.Empty(AgentOptionsReader.Read(File.ReadAllText(written), "written").Problems);
        }
        finally
        {
            File.Delete(written);
        }

        static IEnumerable<string> Lines(string text) =>
            text.Split('\n').Where(line => line.Length > 0 && line[0] != '#').Order(StringComparer.Ordinal);
    }

    private static AgentOptionsResult Read(string file) => AgentOptionsReader.Read(Repository.Read($"{Folder}/{file}"), "config.yaml");

    /// <summary>Line and field of each message.</summary>
    private static string[] Fields(IEnumerable<string> messages) =>
        [.. messages.Select(m => Regex.Match(m, @"^config\.yaml:(\d+): (\S+) (is|has) ") is { Success: true } match
            ? $"{match.Groups[1]} {match.Groups[2]}" : m).OrderBy(Line)];

    private static int Line(string field) => int.TryParse(field.Split(' ')[0], out int line) ? line : 0;

    private static (int Status, string Said) KubeProxy(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(KubeProxyBinaryFactAttribute.Program!, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
        string said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, said);
    }
}
