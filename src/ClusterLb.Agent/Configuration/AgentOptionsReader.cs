using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.Dataplane.Maps;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ClusterLb.Agent.Configuration;

/// <summary>Reads a configuration file: a KubeProxyConfiguration as it is, a ClusterLbConfiguration, or both as two YAML documents.</summary>
/// <remarks>YamlDotNet is used through its representation model only: the program is trimmed, so nothing may reflect.</remarks>
public static class AgentOptionsReader
{
    private const int NotSaid = int.MinValue; // maps.maglevTables, while documents are read

    /// <summary>Reads the file of <paramref name="overrides"/> if there is one, applies the overrides, and checks the whole.</summary>
    public static AgentOptionsResult Load(AgentOverrides overrides)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        AgentOptionsResult file = new(new AgentOptions(), [], []);
        if (overrides.ConfigFile is string path)
        {
            try
            {
                file = Read(File.ReadAllText(path), path, overrides.ProxyMode);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return file with { Problems = [$"Cannot read the configuration file {path}: {e.Message}"] };
            }
        }

        List<string> problems = [.. file.Problems];
        List<string> warnings = [.. file.Warnings];
        if (overrides.ProxyMode is { Length: > 0 } mode)
        {
            warnings.Add($"--proxy-mode is '{mode}': ClusterLb has a dataplane of its own; of this mode its block in the configuration counts, and ipvs.scheduler in every mode.");
        }

        AgentOptions options = overrides.ApplyTo(file.Options, problems);
        problems.AddRange(options.Problems());
        return new AgentOptionsResult(options, problems, warnings);
    }

    /// <summary>Reads the text of a file. The values are not checked against each other: see <see cref="AgentOptions.Problems"/>.</summary>
    /// <param name="text">One or two YAML documents.</param>
    /// <param name="source">Name of the file, for messages.</param>
    /// <param name="proxyMode">The flag <c>--proxy-mode</c>: it says which mode's block counts.</param>
    public static AgentOptionsResult Read(string text, string source, string? proxyMode = null)
    {
        var findings = new ConfigurationFindings(source);
        var options = new AgentOptions { Maps = new LbMapCapacities { MaglevTables = NotSaid } };
        foreach (YamlDocument document in Documents(text, findings))
        {
            YamlSection top = YamlSection.Root(document.RootNode, findings);
            switch ($"{top.Text("apiVersion")} {top.Text("kind")}")
            {
                case "kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration":
                    options = KubeProxyConfiguration.Apply(top, options, proxyMode);
                    top.WarnOfUnknownFields();
                    break;
                case "clusterlb.io/v1alpha1 ClusterLbConfiguration":
                    options = ClusterLbConfiguration.Apply(top, options);
                    top.WarnOfUnknownFields();
                    break;
                case string other:
                    findings.Problems.Add($"{source}:{document.RootNode.Start.Line}: a document is of kind '{other.Trim()}', but must be " +
                        "kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration or clusterlb.io/v1alpha1 ClusterLbConfiguration.");
                    break;
            }
        }

        return new AgentOptionsResult(WithRoomForTables(options), findings.Problems, findings.Warnings);
    }

    /// <summary>Where every service chooses by a hash, each needs a table. A number that the file says counts as it is.</summary>
    private static AgentOptions WithRoomForTables(AgentOptions options) => options.Maps.MaglevTables != NotSaid ? options : options with
    {
        Maps = options.Maps with
        {
            MaglevTables = options.Selection.Algorithm.IsHash() ? LbMapCapacities.MaglevTablesOfAll : new LbMapCapacities().MaglevTables,
        },
    };

    private static IEnumerable<YamlDocument> Documents(string text, ConfigurationFindings findings)
    {
        try
        {
            return YamlText.Read(new StringReader(text));
        }
        catch (YamlException e)
        {
            findings.Problems.Add($"{findings.Source}:{e.Start.Line}: not YAML: {e.Message}");
            return [];
        }
    }
}
