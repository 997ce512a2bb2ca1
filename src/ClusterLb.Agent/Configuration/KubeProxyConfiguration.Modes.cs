using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Configuration;

/// <content>The blocks of kube-proxy's modes, and conntrack.</content>
internal static partial class KubeProxyConfiguration
{
    private const string Iptables = "iptables";
    private const string Ipvs = "ipvs";
    private const string Nftables = "nftables";

    // kube-proxy reads only the block of its own mode; "" means iptables on Linux. All blocks are checked.
    private static AgentOptions ReadModes(YamlSection top, string? proxyMode, AgentOptions options)
    {
        string mode = top.Text("mode") ?? "";
        if (mode is not ("" or Iptables or Ipvs or Nftables))
        {
            top.Problem("mode", $"is '{mode}', but must be empty, iptables, ipvs or nftables");
        }
        else if (mode.Length > 0 && proxyMode is null)
        {
            top.Warning("mode", $"is '{mode}': ClusterLb has a dataplane of its own; of this mode its block below counts, as far as it applies, and ipvs.scheduler in every mode");
        }

        mode = proxyMode is { Length: > 0 } ? proxyMode : mode.Length > 0 ? mode : Iptables;
        AgentOptions withConntrack = ReadConntrack(top.Section("conntrack"), options); // a timeout of the mode's block is more special
        YamlSection ipvsBlock = top.Section(Ipvs);
        AgentOptions common = ReadScheduler(ipvsBlock, withConntrack);
        AgentOptions iptables = ReadIptables(top.Section(Iptables), common);
        AgentOptions ipvs = ReadIpvs(ipvsBlock, mode == Ipvs, common);
        AgentOptions nftables = ReadNftables(top.Section(Nftables), common);
        return mode switch { Ipvs => ipvs, Nftables => nftables, _ => iptables };
    }

    /// <summary>Whatever the mode: no other field of kube-proxy's has a word for how backends are chosen.</summary>
    private static AgentOptions ReadScheduler(YamlSection block, AgentOptions options)
    {
        string scheduler = block.Text("scheduler") ?? "";
        if (scheduler.Length == 0)
        {
            return options;
        }

        if (!AlgorithmNames.TryParseScheduler(scheduler, out SelectionAlgorithm algorithm))
        {
            block.Problem("scheduler", $"is '{scheduler}', but must be empty or one of {AlgorithmNames.Schedulers}");
            return options;
        }

        // loadBalancer.algorithm of our own document is stronger, whichever document comes first.
        return options.Selection.Algorithm != SelectionAlgorithm.Default
            ? options
            : options with { Selection = options.Selection with { Algorithm = algorithm } };
    }

    private static AgentOptions ReadIptables(YamlSection block, AgentOptions options)
    {
        IgnoreMasqueradeBit(block);
        block.Flag("snatNodeInternalIP", false); // the masquerade address is the Node object's InternalIP always
        return ReadPeriods(block, options) with
        {
            MasqueradeAll = block.Flag("masqueradeAll", options.MasqueradeAll),
            LocalhostNodePorts = block.Flag("localhostNodePorts", options.LocalhostNodePorts),
        };
    }

    private static AgentOptions ReadNftables(YamlSection block, AgentOptions options)
    {
        IgnoreMasqueradeBit(block);
        return ReadPeriods(block, options) with { MasqueradeAll = block.Flag("masqueradeAll", options.MasqueradeAll) };
    }

    private static AgentOptions ReadIpvs(YamlSection block, bool isMode, AgentOptions options)
    {
        block.Prefixes("excludeCIDRs");
        block.Ignore("excludeCIDRs", "there are no IPVS services to clean up");
        block.Flag("strictARP", false); // service addresses are on no interface, so nothing answers ARP for them

        TimeSpan tcp = block.Duration("tcpTimeout", TimeSpan.Zero);
        TimeSpan fin = block.Duration("tcpFinTimeout", TimeSpan.Zero);
        TimeSpan udp = block.Duration("udpTimeout", TimeSpan.Zero);
        AgentOptions read = ReadPeriods(block, options, minZeroIsValue: true);
        if (!isMode)
        {
            return read;
        }

        ConntrackOptions conntrack = read.Conntrack;
        return read with
        {
            Conntrack = conntrack with
            {
                TcpEstablishedTimeout = tcp > TimeSpan.Zero ? tcp : conntrack.TcpEstablishedTimeout,
                TcpClosingTimeout = fin > TimeSpan.Zero ? fin : conntrack.TcpClosingTimeout,
                UdpTimeout = udp > TimeSpan.Zero ? udp : conntrack.UdpTimeout,
                UdpStreamTimeout = udp > TimeSpan.Zero ? udp : conntrack.UdpStreamTimeout, // IPVS does not tell the two apart
            },
        };
    }

    // Zero stands for the default; of ipvs.minSyncPeriod alone it is a value (kube-proxy's defaults.go).
    private static AgentOptions ReadPeriods(YamlSection block, AgentOptions options, bool minZeroIsValue = false)
    {
        TimeSpan sync = block.Duration("syncPeriod", options.SyncPeriod);
        TimeSpan min = block.Duration("minSyncPeriod", options.MinSyncPeriod, minZeroIsValue);
        if (min <= sync)
        {
            return options with { SyncPeriod = sync, MinSyncPeriod = min };
        }

        block.Problem("minSyncPeriod", $"is {min.TotalSeconds} s, but must not be longer than syncPeriod ({sync.TotalSeconds} s)");
        return options;
    }

    private static void IgnoreMasqueradeBit(YamlSection block)
    {
        block.Int("masqueradeBit", 0, 0, 31);
        block.Ignore("masqueradeBit", "masquerading needs no mark here; the marks of steering are steering.replyMark and originalMark");
    }

    // Timeouts are for both tables, the kernel's and ours; sizes are the kernel's alone: ours has its own in ClusterLbConfiguration.
    private static AgentOptions ReadConntrack(YamlSection conntrack, AgentOptions options)
    {
        ConntrackOptions ours = options.Conntrack;
        KernelConntrackOptions kernel = options.KernelConntrack;
        return options with
        {
            Conntrack = ours with
            {
                TcpEstablishedTimeout = conntrack.Duration("tcpEstablishedTimeout", ours.TcpEstablishedTimeout),
                UdpTimeout = conntrack.Duration("udpTimeout", ours.UdpTimeout),
                UdpStreamTimeout = conntrack.Duration("udpStreamTimeout", ours.UdpStreamTimeout),
            },
            KernelConntrack = kernel with
            {
                MaxPerCore = conntrack.Int("maxPerCore", kernel.MaxPerCore, 0, int.MaxValue),
                Min = conntrack.Int("min", kernel.Min, 0, int.MaxValue),
                TcpEstablishedTimeout = conntrack.Duration("tcpEstablishedTimeout", kernel.TcpEstablishedTimeout, zeroIsValue: true),
                TcpCloseWaitTimeout = conntrack.Duration("tcpCloseWaitTimeout", kernel.TcpCloseWaitTimeout, zeroIsValue: true),
                TcpBeLiberal = conntrack.Flag("tcpBeLiberal", kernel.TcpBeLiberal),
                UdpTimeout = conntrack.Duration("udpTimeout", kernel.UdpTimeout, zeroIsValue: true),
                UdpStreamTimeout = conntrack.Duration("udpStreamTimeout", kernel.UdpStreamTimeout, zeroIsValue: true),
            },
        };
    }
}
