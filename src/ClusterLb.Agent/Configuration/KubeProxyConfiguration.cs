using System.Globalization;
using ClusterLb.Dataplane;

namespace ClusterLb.Agent.Configuration;

/// <summary>Reads kube-proxy's own document (kubeproxy.config.k8s.io/v1alpha1), so that a DaemonSet can be swapped with its ConfigMap.</summary>
/// <remarks>
/// Every field that kube-proxy knows is accepted. One that has no effect here warns if it is set; docs/configuration.md has the table.
/// Ranges are kube-proxy's own (pkg/proxy/apis/config/validation).
/// </remarks>
internal static partial class KubeProxyConfiguration
{
    private const string LittleTraffic = "the client lists once, then watches; there is nothing to slow down";

    /// <summary>The options with what the document says.</summary>
    /// <param name="top">The document.</param>
    /// <param name="options">What was said before.</param>
    /// <param name="proxyMode">The flag <c>--proxy-mode</c>, which beats the field.</param>
    public static AgentOptions Apply(YamlSection top, AgentOptions options, string? proxyMode)
    {
        options = ReadModes(top, proxyMode, options);
        options = ReadLocalDetection(top, options);
        options = ReadNodePortAddresses(top, options);
        options = ReadAddresses(top, options);
        options = ReadLogging(top.Section("logging"), options);
        AcceptTheRest(top);

        YamlSection client = top.Section("clientConnection");
        client.Read("qps", 0.0, "must be a number", (string text, out double qps) => double.TryParse(text, CultureInfo.InvariantCulture, out qps));
        client.Int("burst", 0, 0, int.MaxValue);
        client.Ignore("qps", LittleTraffic);
        client.Ignore("burst", LittleTraffic);
        client.Ignore("contentType", "objects are read as JSON");
        client.Ignore("acceptContentTypes", "objects are read as JSON");
        TimeSpan configSyncPeriod = top.Duration("configSyncPeriod", options.ConfigSyncPeriod);
        return options with
        {
            KubeconfigFile = client.Text("kubeconfig") is { Length: > 0 } kubeconfig ? Path.GetFullPath(kubeconfig) : options.KubeconfigFile,
            NodeName = ReadNodeName(top, options.NodeName),
            EnableProfiling = top.Flag("enableProfiling", options.EnableProfiling),
            OomScoreAdj = top.Int("oomScoreAdj", options.OomScoreAdj, -1000, 1000),
            ConfigSyncPeriod = configSyncPeriod,
        };
    }

#pragma warning disable CA1308 // Kubernetes names are lower case; this is no comparison.
    private static string ReadNodeName(YamlSection top, string otherwise)
    {
        string text = top.Text("hostnameOverride") ?? "";
        string name = text.Trim().ToLowerInvariant();
        if (text.Length > 0 && name.Length == 0)
        {
            top.Problem("hostnameOverride", "is blank, but must be a name or empty");
        }

        return name.Length > 0 ? name : otherwise;
    }
#pragma warning restore CA1308

    private static AgentOptions ReadLocalDetection(YamlSection top, AgentOptions options)
    {
        string text = top.Text("detectLocalMode") ?? "";
        DetectLocalMode? mode = text switch
        {
            "" or "ClusterCIDR" => DetectLocalMode.ClusterCidr,
            "NodeCIDR" => DetectLocalMode.NodeCidr,
            "BridgeInterface" => DetectLocalMode.BridgeInterface,
            "InterfaceNamePrefix" => DetectLocalMode.InterfaceNamePrefix,
            _ => null,
        };
        if (mode is null)
        {
            top.Problem("detectLocalMode", $"is '{text}', but must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix");
        }

        IReadOnlyList<IpPrefix> cidrs = top.Prefixes("clusterCIDR");
        if (cidrs.Count > 2 || (cidrs.Count == 2 && cidrs[0].Address.IsIpv4 == cidrs[1].Address.IsIpv4))
        {
            top.Problem("clusterCIDR", "has more than one block of a family, but must be one block, or one of each family");
        }

        if (mode == DetectLocalMode.ClusterCidr && cidrs.Count == 0)
        {
            top.Warning("clusterCIDR", "is empty: no source is known to be a pod's, and ClusterIP traffic is not masqueraded");
        }

        return options with
        {
            DetectLocalMode = mode ?? options.DetectLocalMode,
            LocalInterface = ReadLocalInterface(top.Section("detectLocal"), mode),
            ClusterCidrs = cidrs,
        };
    }

    /// <summary>Both fields may be there, only that of the mode counts; as in kube-proxy it must be a name then.</summary>
    private static string ReadLocalInterface(YamlSection section, DetectLocalMode? mode)
    {
        const int LongestName = 15; // IFNAMSIZ, without its end
        string bridge = section.Text("bridgeInterface") ?? "";
        string prefix = section.Text("interfaceNamePrefix") ?? "";
        (string field, string name) = mode switch
        {
            DetectLocalMode.BridgeInterface => ("bridgeInterface", bridge),
            DetectLocalMode.InterfaceNamePrefix => ("interfaceNamePrefix", prefix),
            _ => ("", ""),
        };
        if (field.Length > 0 && name.Length is (0 or > LongestName))
        {
            section.Problem(field, $"is '{name}', but must be 1 to {LongestName} characters with this detectLocalMode");
        }

        return name;
    }

    private static AgentOptions ReadLogging(YamlSection logging, AgentOptions options)
    {
        // Every line is written at once, so flushFrequency is kept whatever it is.
        logging.Accept("flushFrequency");
        logging.Ignore("vmodule", "the level is the same for all parts; use verbosity");
        logging.Ignore("options", "all lines go to standard error, unbuffered");
        string format = logging.Text("format") ?? "";
        if (format is not ("" or "text" or "json"))
        {
            logging.Problem("format", $"is '{format}', but must be text or json");
        }

        return options with
        {
            LogFormat = format == "json" ? LogFormat.Json : LogFormat.Text,
            Verbosity = logging.Int("verbosity", options.Verbosity, 0, int.MaxValue),
        };
    }

    private static void AcceptTheRest(YamlSection top)
    {
        top.Ignore("featureGates", "features of kube-proxy's own dataplanes are not features of this one");
        top.Ignore("showHiddenMetricsForVersion", "no metric is hidden");
        top.Ignore("portRange", "it belonged to the userspace mode; local ports of masqueraded connections are steering's");
        top.Ignore("udpIdleTimeout", "it belonged to the userspace mode; use conntrack.udpTimeout");
        top.Ignore("windowsRunAsService", "this is not Windows");
        top.Ignore("winkernel", "this is not Windows");
    }
}
