using System.Globalization;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Configuration;

/// <summary>Reads our own document (clusterlb.io/v1alpha1 ClusterLbConfiguration): what kube-proxy has no word for.</summary>
internal static class ClusterLbConfiguration
{
    /// <summary>The options with what the document says.</summary>
    public static AgentOptions Apply(YamlSection top, AgentOptions options)
    {
        YamlSection admin = top.Section("admin");
        YamlSection tun = top.Section("tun");
        YamlSection maglev = top.Section("maglev");
        YamlSection loadBalancer = top.Section("loadBalancer");
        ConntrackOptions conntrack = ReadConntrack(top.Section("conntrack"), options.Conntrack);
        return ReadMaps(top.Section("maps"), maglev, options) with
        {
            Selection = ReadSelection(loadBalancer, maglev, options.Selection),
            ServesExternalIps = loadBalancer.Flag("externalIPs", options.ServesExternalIps),
            ManifestDirectory = top.Text("manifests") ?? options.ManifestDirectory,
            ApiServers = [.. ReadServers(top)],
            ServiceCidrs = top.Prefixes("serviceCIDRs"),
            Tun = options.Tun with { Name = tun.Text("name") ?? options.Tun.Name, Queues = tun.Int("queues", options.Tun.Queues) },
            Steering = ReadSteering(top, tun, options.Steering),
            Conntrack = conntrack,
            Dataplane = ReadDataplane(top.Section("dataplane"), options.Dataplane),
            AdminGroup = admin.Text("group") is { Length: > 0 } group ? group : options.AdminGroup,
        };
    }

    private static IEnumerable<Uri> ReadServers(YamlSection top)
    {
        foreach (string text in top.List("apiServers"))
        {
            if (ApiConnection.TryServer(text, out Uri? server, out string? problem))
            {
                yield return server;
            }
            else
            {
                top.Problem("apiServers", $"has '{text}', which {problem}");
            }
        }
    }

    private static SteeringOptions ReadSteering(YamlSection top, YamlSection tun, SteeringOptions now)
    {
        YamlSection steering = top.Section("steering");
        YamlSection priorities = steering.Section("rulePriorities");
        return now with
        {
            ReplyMark = Mark(steering, "replyMark", now.ReplyMark),
            OriginalMark = Mark(steering, "originalMark", now.OriginalMark),
            ServiceTable = steering.Int("serviceTable", now.ServiceTable),
            MarkTable = steering.Int("markTable", now.MarkTable),
            EmittedPriority = priorities.Int("fromTun", now.EmittedPriority),
            MarkPriority = priorities.Int("mark", now.MarkPriority),
            ServicePriority = priorities.Int("services", now.ServicePriority),
            LocalPriority = priorities.Int("local", now.LocalPriority),
            BridgedPods = steering.Read("bridgedPods", now.BridgedPods, "must be auto, connectionMark, routed or masquerade", TryBridgeFix),
            AcceptForwarding = steering.Flag("acceptForwarding", now.AcceptForwarding),
            Mtu = tun.Int("mtu", now.Mtu),
        };
    }

    /// <summary>Stronger than ipvs.scheduler of kube-proxy's document.</summary>
    private static SelectionOptions ReadSelection(YamlSection loadBalancer, YamlSection maglev, SelectionOptions now) => now with
    {
        Algorithm = loadBalancer.Read<SelectionAlgorithm>(
            "algorithm", now.Algorithm, $"must be one of {AlgorithmNames.All}", AlgorithmNames.TryParse),
        BackendGone = loadBalancer.Read<BackendGonePolicy>(
            "onBackendGone", now.BackendGone, $"must be one of {BackendGonePolicyNames.All}", BackendGonePolicyNames.TryParse),
        MaglevSeed = maglev.Read<MaglevSeed>(
            "hashSeed", now.MaglevSeed, "must be 12 bytes as base64 (16 characters)", MaglevSeed.TryParse),
    };

    private static AgentOptions ReadMaps(YamlSection maps, YamlSection maglev, AgentOptions options)
    {
        LbMapCapacities now = options.Maps;
        return options with
        {
            Maps = new LbMapCapacities
            {
                Services = maps.Int("services", now.Services),
                Backends = maps.Int("backends", now.Backends),
                Frontends = maps.Int("frontends", now.Frontends),
                Serving = maps.Int("serving", now.Serving),
                Eligible = maps.Int("eligible", now.Eligible),
                ServicePorts = maps.Int("servicePorts", now.ServicePorts),
                ServiceNames = maps.Int("serviceNames", maps.Int("servicePorts", now.ServiceNames)), // one name per service port
                Networks = maps.Int("networks", now.Networks),
                SourceRanges = maps.Int("sourceRanges", now.SourceRanges),
                MaglevTables = maps.Int("maglevTables", now.MaglevTables),
                MaglevTableSize = maglev.Read(
                    "tableSize", now.MaglevTableSize, $"must be one of {string.Join(", ", LbMapCapacities.MaglevTableSizes)}", TryTableSize),
            },
        };
    }

    private static bool TryBridgeFix(string text, out BridgeFix? fix)
    {
        fix = text switch
        {
            "connectionMark" => BridgeFix.ConnectionMark,
            "routed" => BridgeFix.Routed,
            "masquerade" => BridgeFix.Masquerade,
            _ => null,
        };
        return fix is not null || text == "auto";
    }

    private static bool TryTableSize(string text, out int size) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size) && LbMapCapacities.MaglevTableSizes.Contains(size);

    private static ConntrackOptions ReadConntrack(YamlSection conntrack, ConntrackOptions now) => now with
    {
        Capacities = now.Capacities with
        {
            Ipv4 = conntrack.Int("ipv4", now.Capacities.Ipv4),
            Ipv6 = conntrack.Int("ipv6", now.Capacities.Ipv6),
            Affinity = conntrack.Int("affinity", now.Capacities.Affinity),
            Fragments = conntrack.Int("fragments", now.Capacities.Fragments),
        },
        DropMidStream = conntrack.Read("midStream", now.DropMidStream, "must be reset or drop", (string text, out bool drop) =>
        {
            drop = text == "drop";
            return text is "reset" or "drop";
        }),
        SnatPorts = conntrack.Read<SnatPortRanges>(
            "snatPorts", now.SnatPorts, "must be one or two ranges of ports that share none, as in 61000-65535,1024-29999", SnatPortRanges.TryParse),
        NodePortRange = conntrack.Read<SnatPortRanges>(
            "nodePortRange", now.NodePortRange, "must be a range of ports, as in 30000-32767", SnatPortRanges.TryParse),
        TcpSynTimeout = conntrack.Duration("tcpSynTimeout", now.TcpSynTimeout),
        TcpClosingTimeout = conntrack.Duration("tcpClosingTimeout", now.TcpClosingTimeout),
        GenericTimeout = conntrack.Duration("genericTimeout", now.GenericTimeout),
    };

    private static DataplaneOptions ReadDataplane(YamlSection dataplane, DataplaneOptions now) => now with
    {
        StopWithAgent = dataplane.Read("onStop", now.StopWithAgent, "must be keep or stop", (string text, out bool stop) =>
        {
            stop = text == "stop";
            return text is "keep" or "stop";
        }),
        AnswerPing = dataplane.Flag("answerPing", now.AnswerPing),
        WithSuccessor = dataplane.Flag("successor", now.WithSuccessor),
        Nice = dataplane.Int("nice", now.Nice, -20, 19),
        CgroupRoot = dataplane.Text("cgroupRoot") ?? now.CgroupRoot,
    };

    private static uint Mark(YamlSection section, string name, uint otherwise)
    {
        long mark = section.Number(name, otherwise);
        if (mark is >= 0 and <= uint.MaxValue)
        {
            return (uint)mark;
        }

        section.Problem(name, $"is {mark}, but must have 32 bits");
        return otherwise;
    }
}
