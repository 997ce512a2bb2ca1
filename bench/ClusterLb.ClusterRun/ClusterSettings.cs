using System.Globalization;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>The cluster to run on and what to compare, from environment variables.</summary>
internal sealed record ClusterSettings
{
    /// <summary>ClusterLb as processes on the nodes, ClusterLb as a DaemonSet, kube-proxy in two modes.</summary>
    public static IReadOnlyList<string> AllColumns { get; } = ["clusterlb", "daemonset", "iptables", "nftables"];

    /// <summary>A kubeconfig of an administrator, for kubectl and kube-proxy.</summary>
    public required string Kubeconfig { get; init; }

    /// <summary>The network namespace of each node, by the name of its Node object.</summary>
    public required IReadOnlyDictionary<string, NetworkNamespace> Nodes { get; init; }

    /// <summary>A network namespace outside the cluster that reaches the nodes; null: nothing is asked from outside.</summary>
    public NetworkNamespace? Outside { get; init; }

    /// <summary>Where pods live (clusterCIDR), comma-separated.</summary>
    public required string PodRanges { get; init; }

    /// <summary>The image of servers and clients: Kubernetes' own agnhost.</summary>
    public required string Image { get; init; }

    /// <summary>Replicas at the top of the scaling.</summary>
    public required int Replicas { get; init; }

    /// <summary>The service proxies to compare: some of <see cref="AllColumns"/>.</summary>
    public required IReadOnlyList<string> Columns { get; init; }

    /// <summary>Groups of checks to run, by their names; empty: all.</summary>
    public required IReadOnlyList<string> CheckGroups { get; init; }

    /// <summary>Words of the steps of <c>changes</c> to run; empty: all.</summary>
    public required IReadOnlyList<string> ChangeSteps { get; init; }

    /// <summary>The image that has ClusterLb in it, for the DaemonSet; empty without that column.</summary>
    public required string AgentImage { get; init; }

    /// <summary>How ClusterLb is started.</summary>
    public required IReadOnlyList<string> Program { get; init; }

    /// <summary>Reads the variables.</summary>
    /// <exception cref="LabException">Some are missing or wrong; the message names all of them.</exception>
    public static ClusterSettings Read()
    {
        var problems = new List<string>();
        string kubeconfig = Needed("KUBECONFIG", "a kubeconfig of an administrator");
        string nodes = Needed("CLUSTERLB_CLUSTER_NODES", "NODE=NAMESPACE,… with the network namespace (a path, or a name of `ip netns`) of every node");
        string pods = Needed("CLUSTERLB_CLUSTER_CIDR", "the pods' address ranges, comma-separated");
        if (kubeconfig.Length > 0 && !File.Exists(kubeconfig))
        {
            problems.Add($"KUBECONFIG is {kubeconfig}, but there is no such file");
        }

        var spaces = new Dictionary<string, NetworkNamespace>(StringComparer.Ordinal);
        foreach (string pair in nodes.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] parts = pair.Split('=', 2);
            if (parts.Length < 2 || !new NetworkNamespace(parts[1]).Exists)
            {
                problems.Add($"CLUSTERLB_CLUSTER_NODES has '{pair}', which is not NODE=NAMESPACE of a namespace that exists");
                continue;
            }

            spaces[parts[0]] = new NetworkNamespace(parts[1]);
        }

        string outside = Optional("CLUSTERLB_CLUSTER_OUTSIDE", "");
        if (outside.Length > 0 && !new NetworkNamespace(outside).Exists)
        {
            problems.Add($"CLUSTERLB_CLUSTER_OUTSIDE is '{outside}', but there is no such namespace");
        }

        string number = Optional("CLUSTERLB_CLUSTER_REPLICAS", "20");
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int replicas) || replicas < 4)
        {
            problems.Add($"CLUSTERLB_CLUSTER_REPLICAS is '{number}', which is not a number of 4 or more");
        }

        string[] columns = Optional("CLUSTERLB_CLUSTER_COLUMNS", "clusterlb,iptables,nftables").Split(',', StringSplitOptions.TrimEntries);
        foreach (string unknown in columns.Except(AllColumns, StringComparer.Ordinal))
        {
            problems.Add($"CLUSTERLB_CLUSTER_COLUMNS has '{unknown}', which is none of {string.Join(", ", AllColumns)}");
        }

        string agentImage = Optional("CLUSTERLB_CLUSTER_AGENT_IMAGE", "");
        if (agentImage.Length == 0 && columns.Contains("daemonset"))
        {
            problems.Add("CLUSTERLB_CLUSTER_AGENT_IMAGE is not set: the image that has clusterlb in it, known to every node");
        }

        if (problems.Count > 0)
        {
            throw new LabException(string.Join(Environment.NewLine, problems));
        }

        return new ClusterSettings
        {
            Kubeconfig = Path.GetFullPath(kubeconfig),
            Nodes = spaces,
            Outside = outside.Length > 0 ? new NetworkNamespace(outside) : null,
            PodRanges = pods,
            Image = Optional("CLUSTERLB_CLUSTER_IMAGE", "registry.k8s.io/e2e-test-images/agnhost:2.63.0"),
            Replicas = replicas,
            Columns = columns,
            CheckGroups = Optional("CLUSTERLB_CLUSTER_CHECKS", "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            ChangeSteps = Optional("CLUSTERLB_CLUSTER_CHANGES", "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            AgentImage = agentImage,
            Program = LabProgram.Find(AppContext.BaseDirectory),
        };

        string Needed(string name, string what)
        {
            string value = Optional(name, "");
            if (value.Length == 0)
            {
                problems.Add($"{name} is not set: {what}");
            }

            return value;
        }

        static string Optional(string name, string otherwise) =>
            Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : otherwise;
    }
}
