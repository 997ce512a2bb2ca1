namespace ClusterLb.Agent.Firewall;

/// <summary>What kube-proxy leaves on a node. What kubelet makes under similar names (KUBE-FIREWALL, KUBE-KUBELET-CANARY …) is not its.</summary>
internal static class KubeProxyTraces
{
    /// <summary>Where its IPVS mode puts service addresses.</summary>
    public const string IpvsDevice = "kube-ipvs0";

    private const string NftTable = "kube-proxy";

    private static readonly string[] Names =
    [
        "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-FORWARD", "KUBE-PROXY-FIREWALL",
        "KUBE-PROXY-CANARY", "KUBE-LOAD-BALANCER", "KUBE-NODE-PORT", "KUBE-SOURCE-RANGES-FIREWALL",
    ];

    private static readonly string[] Prefixes = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-", "KUBE-IPVS-"];

    /// <summary>A chain that kube-proxy made, in iptables, ipvs or nftables mode.</summary>
    public static bool IsOfKubeProxy(FirewallChain chain) => chain.Program == "nft"
        ? chain is { Family: "ip" or "ip6", Table: NftTable }
        : IsOfKubeProxy(chain.Name);

    /// <summary>The same of a chain of iptables, by its name.</summary>
    public static bool IsOfKubeProxy(string name) => Names.Contains(name) || Prefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Rules of a chain of kube-proxy that translate to an endpoint.</summary>
    public static int CountServices(FirewallChain chain) => chain.Rules.Count(rule => rule.Target == "dnat");

    /// <summary>A process called kube-proxy in the network namespace of this one; null if none is seen.</summary>
    public static int? FindProcess()
    {
        string? here = LinkTarget("/proc/thread-self/ns/net");
        foreach (string directory in Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            if (Name(directory) == "kube-proxy" && LinkTarget($"{directory}/ns/net") == here)
            {
                return int.Parse(Path.GetFileName(directory), System.Globalization.CultureInfo.InvariantCulture);
            }
        }

        return null;
    }

    private static string Name(string directory)
    {
        try
        {
            return File.ReadAllText($"{directory}/comm").TrimEnd('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // it has just ended
        }
    }

    private static string? LinkTarget(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
