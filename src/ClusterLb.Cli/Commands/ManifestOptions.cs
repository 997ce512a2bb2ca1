using System.CommandLine;
using ClusterLb.Agent;

namespace ClusterLb.Cli.Commands;

/// <summary>Options of a cluster that lies in manifests instead of maps.</summary>
internal sealed class ManifestOptions
{
    private readonly Option<string?> _manifests = new("--manifests")
    {
        Description = "Compile the Services, EndpointSlices and Nodes of this directory instead of reading maps",
        HelpName = "DIR",
    };

    private readonly Option<string?> _config = new("--config")
    {
        Description = "With --manifests: the agent's configuration (service and cluster CIDRs, masquerading)",
        HelpName = "FILE",
    };

    private readonly Option<string?> _node = new("--node", "--node-name")
    {
        Description = "With --manifests: whose dataplane it is (default: the host name)",
        HelpName = "NAME",
    };

    /// <summary>Adds all of them.</summary>
    public void AddTo(Command command)
    {
        command.Add(_manifests);
        command.Add(_config);
        command.Add(_node);
        command.Validators.Add(result =>
        {
            if (!result.IsTyped(_manifests) && (result.IsTyped(_config) || result.IsTyped(_node)))
            {
                result.AddError("--config and --node say something only together with --manifests");
            }
        });
    }

    /// <summary>The cluster is to be read from manifests.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetValue(_manifests) is not null;

    /// <summary>The agent's options with these said.</summary>
    public AgentOptions Read(ParseResult parsed) => AgentFlags.Load(new AgentOverrides
    {
        ConfigFile = parsed.GetValue(_config),
        ManifestDirectory = parsed.GetValue(_manifests),
        NodeName = parsed.GetValue(_node),
    }).Options;
}
