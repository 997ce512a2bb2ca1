using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.ClusterRun;

/// <summary>kubectl, run in the network of a node: from there the API server is in reach.</summary>
internal sealed class Kubectl(ClusterSettings settings)
{
    private readonly NetworkNamespace _from = settings.Nodes.Values.First();

    /// <summary>The path of a program of Kubernetes: in the folder of the test assets, else from PATH.</summary>
    public static string Program(string name) =>
        RealApiServer.Assets is { } folder && File.Exists(Path.Combine(folder, name)) ? Path.Combine(folder, name) : name;

    public string Run(params IReadOnlyList<string> arguments) => Run("", arguments);

    public string Run(string input, IReadOnlyList<string> arguments) =>
        Tool.Run("nsenter", [$"--net={_from.Path}", Program("kubectl"), "--kubeconfig", settings.Kubeconfig, .. arguments], input);

    public void Apply(string yaml) => Run(yaml, ["apply", "-f", "-"]);

    public JsonNode Get(params IReadOnlyList<string> arguments) => JsonNode.Parse(Run(["get", .. arguments, "-o", "json"]))!;
}
