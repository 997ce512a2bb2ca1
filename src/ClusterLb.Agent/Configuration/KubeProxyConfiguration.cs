using System.Net;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Configuration;

/// <summary>Reads kube-proxy's own document (kubeproxy.config.k8s.io/v1alpha1), so that a DaemonSet can be swapped with its ConfigMap.</summary>
internal static class KubeProxyConfiguration
{
    /// <summary>The options with what the document says.</summary>
    public static AgentOptions Apply(YamlSection top, AgentOptions options)
    {
        string mode = top.Text("mode") ?? "";
        if (mode is "iptables" or "ipvs" or "nftables")
        {
            top.Warning("mode", $"is '{mode}': ClusterLb has a dataplane of its own; of this mode only masqueradeAll and the periods count");
        }
        else if (mode.Length > 0)
        {
            top.Problem("mode", $"is '{mode}', but must be empty, iptables, ipvs or nftables");
        }

        options = ReadMode(top, mode, options);
        options = ReadLocalDetection(top, options);
        options = ReadNodePortAddresses(top, options);
        options = ReadConntrack(top.Section("conntrack"), options);

        YamlSection client = top.Section("clientConnection");
        client.Accept("acceptContentTypes", "contentType", "qps", "burst", "kubeconfig");
        top.Accept("featureGates", "logging", "bindAddress", "enableProfiling", "showHiddenMetricsForVersion", "oomScoreAdj",
            "configSyncPeriod", "portRange", "windowsRunAsService", "winkernel", "udpIdleTimeout");
        return options with
        {
            NodeName = top.Text("hostnameOverride") is { Length: > 0 } name ? name : options.NodeName,
            HealthzBindAddress = ReadAddress(top, "healthzBindAddress", options.HealthzBindAddress, 10256),
            MetricsBindAddress = ReadAddress(top, "metricsBindAddress", options.MetricsBindAddress, 10249),
            BindAddressHardFail = top.Flag("bindAddressHardFail", options.BindAddressHardFail),
        };
    }

    // kube-proxy reads only the block of its own mode; "" means iptables on Linux. All blocks are checked.
    private static AgentOptions ReadMode(YamlSection top, string mode, AgentOptions options)
    {
        AgentOptions result = options;
        foreach (string name in (ReadOnlySpan<string>)["iptables", "ipvs", "nftables"])
        {
            YamlSection block = top.Section(name);
            AgentOptions read = options with
            {
                MasqueradeAll = block.Flag("masqueradeAll", options.MasqueradeAll),
                LocalhostNodePorts = block.Flag("localhostNodePorts", options.LocalhostNodePorts),
                SyncPeriod = block.Duration("syncPeriod", options.SyncPeriod),
                MinSyncPeriod = block.Duration("minSyncPeriod", options.MinSyncPeriod, zeroIsValue: name == "ipvs"),
            };
            block.Accept("masqueradeBit", "scheduler", "excludeCIDRs", "strictARP", "tcpTimeout", "tcpFinTimeout", "udpTimeout");
            if (name == mode || (mode.Length == 0 && name == "iptables"))
            {
                result = read;
            }
        }

        return result;
    }

    private static AgentOptions ReadLocalDetection(YamlSection top, AgentOptions options)
    {
        string text = top.Text("detectLocalMode") ?? "";
        DetectLocalMode mode = text switch
        {
            "" or "ClusterCIDR" => DetectLocalMode.ClusterCidr,
            "NodeCIDR" => DetectLocalMode.NodeCidr,
            _ => DetectLocalMode.None,
        };
        if (text is "BridgeInterface" or "InterfaceNamePrefix")
        {
            top.Warning("detectLocalMode", $"is '{text}': packets read from the TUN device do not tell the interface they came by, " +
                "so no source is known to be a pod's; use ClusterCIDR or NodeCIDR");
        }
        else if (mode == DetectLocalMode.None)
        {
            top.Problem("detectLocalMode", $"is '{text}', but must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix");
        }

        IReadOnlyList<IpPrefix> cidrs = top.Prefixes("clusterCIDR");
        if (mode == DetectLocalMode.ClusterCidr && cidrs.Count == 0)
        {
            top.Warning("clusterCIDR", "is empty: no source is known to be a pod's, and ClusterIP traffic is not masqueraded");
        }

        top.Section("detectLocal").Accept("bridgeInterface", "interfaceNamePrefix");
        return options with { DetectLocalMode = mode, ClusterCidrs = cidrs };
    }

    private static AgentOptions ReadNodePortAddresses(YamlSection top, AgentOptions options)
    {
        IReadOnlyList<string> texts = top.List("nodePortAddresses");
        if (texts is ["primary"])
        {
            return options with { NodePortsOnPrimaryOnly = true };
        }

        if (texts is ["all"] or [])
        {
            return options;
        }

        return options with { NodePortAddresses = texts is ["localhost"] ? Loopback : top.Prefixes("nodePortAddresses") };
    }

    private static AgentOptions ReadConntrack(YamlSection conntrack, AgentOptions options)
    {
        // Sizes are the kernel's table; ours has its own in ClusterLbConfiguration.
        conntrack.Accept("maxPerCore", "min", "tcpBeLiberal", "tcpCloseWaitTimeout");
        ConntrackOptions now = options.Conntrack;
        return options with
        {
            Conntrack = now with
            {
                TcpEstablishedTimeout = conntrack.Duration("tcpEstablishedTimeout", now.TcpEstablishedTimeout),
                UdpTimeout = conntrack.Duration("udpTimeout", now.UdpTimeout),
                UdpStreamTimeout = conntrack.Duration("udpStreamTimeout", now.UdpStreamTimeout),
            },
        };
    }

    private static IPEndPoint? ReadAddress(YamlSection top, string name, IPEndPoint? otherwise, int defaultPort)
    {
        // Empty text is kube-proxy's default here (its flags differ: there it switches the server off).
        string? text = top.Text(name);
        if (string.IsNullOrEmpty(text))
        {
            return otherwise;
        }

        if (BindAddress.TryParse(text, defaultPort, out IPEndPoint? address))
        {
            return address;
        }

        top.Problem(name, $"is '{text}', but must be address or address:port");
        return otherwise;
    }

    private static readonly IpPrefix[] Loopback = [IpPrefix.Parse("127.0.0.0/8"), IpPrefix.Parse("::1/128")];
}
