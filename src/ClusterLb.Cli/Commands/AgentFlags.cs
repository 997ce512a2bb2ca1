using System.CommandLine;
using ClusterLb.Agent;
using ClusterLb.Agent.Configuration;
using ClusterLb.Cli.Output;

namespace ClusterLb.Cli.Commands;

/// <summary>Flags of kube-proxy that a DaemonSet may carry, and ours.</summary>
internal sealed class AgentFlags
{
    private readonly Option<string?> _config = new("--config")
    {
        Description = "KubeProxyConfiguration, and ClusterLbConfiguration as a second document (CLUSTERLB_CONFIG)",
        HelpName = "FILE",
    };

    private readonly Option<string?> _manifests = new("--manifests")
    {
        Description = "Serve the Services, EndpointSlices and Nodes of the YAML and JSON files in this directory (CLUSTERLB_MANIFESTS)",
        HelpName = "DIR",
    };

    private readonly Option<string?> _kubeconfig = new("--kubeconfig")
    {
        Description = "Serve the objects of the API server that this file names (CLUSTERLB_KUBECONFIG; default: in a pod, its service account)",
        HelpName = "FILE",
    };

    private readonly Option<string?> _node = new("--hostname-override", "--node-name")
    {
        Description = "Name of this node's Node object (NODE_NAME; default: the host name)",
        HelpName = "NAME",
    };

    private readonly Option<string?> _proxyMode = new("--proxy-mode")
    {
        Description = "Which mode's block of the configuration counts: iptables, ipvs or nftables. The dataplane is ours in any case",
        HelpName = "MODE",
    };

    private readonly Option<string?> _nodePorts = new("--nodeport-addresses")
    {
        Description = "Node addresses on which node ports answer: blocks, all, localhost; or primary alone",
        HelpName = "CIDR,...",
    };

    private readonly Option<string?> _healthz = new("--healthz-bind-address")
    {
        Description = "Where /healthz and /livez answer; empty: nowhere (CLUSTERLB_HEALTHZ_BIND_ADDRESS)",
        HelpName = "ADDRESS[:PORT]",
    };

    private readonly Option<string?> _metrics = new("--metrics-bind-address")
    {
        Description = "Where /metrics answers; empty: nowhere (CLUSTERLB_METRICS_BIND_ADDRESS)",
        HelpName = "ADDRESS[:PORT]",
    };

    private readonly Option<int?> _verbosity = new("--v", "-v")
    {
        Description = "Detail of the log: 0 state, 2 life cycle, 4 every sync, 5 every object (CLUSTERLB_V)",
        HelpName = "LEVEL",
        CustomParser = result => NumberText.Parse<int>(result),
    };

    /// <summary>Adds all of them.</summary>
    public void AddTo(Command command)
    {
        command.Add(_config);
        command.Add(_manifests);
        command.Add(_node);
        command.Add(_kubeconfig);
        command.Add(_proxyMode);
        command.Add(_nodePorts);
        command.Add(_healthz);
        command.Add(_metrics);
        command.Add(_verbosity);
    }

    /// <summary>Reads environment and file under the flags.</summary>
    /// <exception cref="CommandException">Not everything could be understood; all problems are named.</exception>
    public AgentOptionsResult Load(ParseResult parsed, string? stateDir)
    {
        var typed = new AgentOverrides
        {
            ConfigFile = parsed.GetValue(_config),
            StateDirectory = stateDir,
            ManifestDirectory = parsed.GetValue(_manifests),
            NodeName = parsed.GetValue(_node),
            KubeconfigFile = parsed.GetValue(_kubeconfig),
            ProxyMode = parsed.GetValue(_proxyMode),
            NodePortAddresses = parsed.GetValue(_nodePorts),
            HealthzBindAddress = parsed.GetValue(_healthz),
            MetricsBindAddress = parsed.GetValue(_metrics),
            Verbosity = parsed.GetValue(_verbosity),
        };
        return Load(typed);
    }

    /// <inheritdoc cref="Load(ParseResult, string?)"/>
    public static AgentOptionsResult Load(AgentOverrides typed)
    {
        List<string> problems = [];
        AgentOverrides overrides = typed.Over(AgentOverrides.FromEnvironment(Environment.GetEnvironmentVariable, problems));
        AgentOptionsResult read = AgentOptionsReader.Load(overrides);
        problems.AddRange(read.Problems);
        return problems.Count == 0
            ? read
            : throw new CommandException("cannot use the configuration", problems);
    }
}
