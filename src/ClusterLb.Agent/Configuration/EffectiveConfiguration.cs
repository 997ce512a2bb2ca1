using System.Net;
using System.Text.Json.Nodes;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Configuration;

/// <summary>The options that are in effect, in the words of the two documents that they are read from: for /configz and <c>--write-config-to</c>.</summary>
/// <remarks>The opposite of <see cref="KubeProxyConfiguration"/> and <see cref="ClusterLbConfiguration"/>: a field added there is added here.</remarks>
public static class EffectiveConfiguration
{
    /// <summary>A KubeProxyConfiguration with the fields that have an effect here. kube-proxy reads it too.</summary>
    internal static JsonObject KubeProxy(AgentOptions options) => new()
    {
        ["apiVersion"] = "kubeproxy.config.k8s.io/v1alpha1",
        ["kind"] = "KubeProxyConfiguration",
        ["bindAddress"] = options.PrimaryAddress?.ToString() ?? "0.0.0.0",
        ["bindAddressHardFail"] = options.BindAddressHardFail,
        ["clientConnection"] = new JsonObject { ["kubeconfig"] = options.KubeconfigFile ?? "" },
        ["clusterCIDR"] = string.Join(',', options.ClusterCidrs),
        ["configSyncPeriod"] = GoDuration.Format(options.ConfigSyncPeriod),
        ["conntrack"] = Conntrack(options),
        ["detectLocal"] = new JsonObject
        {
            ["bridgeInterface"] = options.DetectLocalMode == DetectLocalMode.BridgeInterface ? options.LocalInterface : "",
            ["interfaceNamePrefix"] = options.DetectLocalMode == DetectLocalMode.InterfaceNamePrefix ? options.LocalInterface : "",
        },
        ["detectLocalMode"] = options.DetectLocalMode switch
        {
            DetectLocalMode.NodeCidr => "NodeCIDR",
            DetectLocalMode.BridgeInterface => "BridgeInterface",
            DetectLocalMode.InterfaceNamePrefix => "InterfaceNamePrefix",
            _ => "ClusterCIDR",
        },
        ["enableProfiling"] = options.EnableProfiling,
        ["healthzBindAddress"] = Address(options.HealthzBindAddress),
        ["hostnameOverride"] = options.NodeName,
        ["iptables"] = new JsonObject
        {
            ["localhostNodePorts"] = options.LocalhostNodePorts,
            ["masqueradeAll"] = options.MasqueradeAll,
            ["minSyncPeriod"] = GoDuration.Format(options.MinSyncPeriod),
            ["syncPeriod"] = GoDuration.Format(options.SyncPeriod),
        },
        ["logging"] = new JsonObject
        {
            ["format"] = options.LogFormat == LogFormat.Json ? "json" : "text",
            ["verbosity"] = options.Verbosity,
        },
        ["metricsBindAddress"] = Address(options.MetricsBindAddress),
        ["nodePortAddresses"] = options.NodePortsOnPrimaryOnly ? new JsonArray("primary") : Texts(options.NodePortAddresses),
        ["oomScoreAdj"] = options.OomScoreAdj,
    };

    /// <summary>A ClusterLbConfiguration with all fields.</summary>
    internal static JsonObject ClusterLb(AgentOptions options)
    {
        SteeringOptions steering = options.Steering;
        ConntrackOptions conntrack = options.Conntrack;
        LbMapCapacities maps = options.Maps;
        return new JsonObject
        {
            ["apiVersion"] = "clusterlb.io/v1alpha1",
            ["kind"] = "ClusterLbConfiguration",
            ["admin"] = new JsonObject { ["group"] = options.AdminGroup ?? "" },
            ["apiServers"] = new JsonArray([.. options.ApiServers.Select(server => (JsonNode)server.ToString())]),
            ["conntrack"] = new JsonObject
            {
                ["affinity"] = conntrack.Capacities.Affinity,
                ["fragments"] = conntrack.Capacities.Fragments,
                ["genericTimeout"] = GoDuration.Format(conntrack.GenericTimeout),
                ["ipv4"] = conntrack.Capacities.Ipv4,
                ["ipv6"] = conntrack.Capacities.Ipv6,
                ["midStream"] = conntrack.DropMidStream ? "drop" : "reset",
                ["nodePortRange"] = conntrack.NodePortRange.ToString(),
                ["snatPorts"] = conntrack.SnatPorts.ToString(),
                ["tcpClosingTimeout"] = GoDuration.Format(conntrack.TcpClosingTimeout),
                ["tcpSynTimeout"] = GoDuration.Format(conntrack.TcpSynTimeout),
            },
            ["dataplane"] = new JsonObject
            {
                ["answerPing"] = options.Dataplane.AnswerPing,
                ["cgroupRoot"] = options.Dataplane.CgroupRoot,
                ["nice"] = options.Dataplane.Nice,
                ["onStop"] = options.Dataplane.StopWithAgent ? "stop" : "keep",
                ["successor"] = options.Dataplane.WithSuccessor,
            },
            ["loadBalancer"] = new JsonObject
            {
                ["algorithm"] = AlgorithmNames.Of(options.Selection.Algorithm),
                ["externalIPs"] = options.ServesExternalIps,
                ["onBackendGone"] = BackendGonePolicyNames.Of(options.Selection.BackendGone),
            },
            ["maglev"] = new JsonObject
            {
                ["hashSeed"] = options.Selection.MaglevSeed.ToString(),
                ["tableSize"] = maps.MaglevTableSize,
            },
            ["manifests"] = options.ManifestDirectory,
            ["maps"] = new JsonObject
            {
                ["backends"] = maps.Backends,
                ["eligible"] = maps.Eligible,
                ["frontends"] = maps.Frontends,
                ["maglevTables"] = maps.MaglevTables,
                ["networks"] = maps.Networks,
                ["serviceNames"] = maps.ServiceNames,
                ["servicePorts"] = maps.ServicePorts,
                ["services"] = maps.Services,
                ["serving"] = maps.Serving,
            },
            ["serviceCIDRs"] = Texts(options.ServiceCidrs),
            ["steering"] = new JsonObject
            {
                ["acceptForwarding"] = steering.AcceptForwarding,
                ["bridgedPods"] = steering.BridgedPods switch
                {
                    BridgeFix.ConnectionMark => "connectionMark",
                    BridgeFix.Routed => "routed",
                    BridgeFix.Masquerade => "masquerade",
                    _ => "auto",
                },
                ["markTable"] = steering.MarkTable,
                ["originalMark"] = steering.OriginalMark,
                ["replyMark"] = steering.ReplyMark,
                ["rulePriorities"] = new JsonObject
                {
                    ["fromTun"] = steering.EmittedPriority,
                    ["local"] = steering.LocalPriority,
                    ["mark"] = steering.MarkPriority,
                    ["services"] = steering.ServicePriority,
                },
                ["serviceTable"] = steering.ServiceTable,
            },
            ["tun"] = new JsonObject { ["mtu"] = steering.Mtu, ["name"] = options.Tun.Name, ["queues"] = options.Tun.Queues },
        };
    }

    // One field says it for both tables; where they differ (by an IPVS timeout) it is the kernel's.
    private static JsonObject Conntrack(AgentOptions options) => new()
    {
        ["maxPerCore"] = options.KernelConntrack.MaxPerCore,
        ["min"] = options.KernelConntrack.Min,
        ["tcpBeLiberal"] = options.KernelConntrack.TcpBeLiberal,
        ["tcpCloseWaitTimeout"] = GoDuration.Format(options.KernelConntrack.TcpCloseWaitTimeout),
        ["tcpEstablishedTimeout"] = GoDuration.Format(options.KernelConntrack.TcpEstablishedTimeout),
        ["udpStreamTimeout"] = GoDuration.Format(options.KernelConntrack.UdpStreamTimeout),
        ["udpTimeout"] = GoDuration.Format(options.KernelConntrack.UdpTimeout),
    };

    /// <summary>Both documents as YAML, which <see cref="AgentOptionsReader"/> reads back.</summary>
    public static string Yaml(AgentOptions options) => $"{JsonYaml.Write(KubeProxy(options))}---\n{JsonYaml.Write(ClusterLb(options))}";

    // Port 0 is how a configuration says that nothing listens; empty text is the default.
    private static string Address(IPEndPoint? address) => address?.ToString() ?? "0.0.0.0:0";

    private static JsonArray Texts(IEnumerable<IpPrefix> prefixes) => [.. prefixes.Select(prefix => (JsonNode)prefix.ToString())];
}
