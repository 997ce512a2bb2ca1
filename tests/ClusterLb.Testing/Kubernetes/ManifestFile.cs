using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Kubernetes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>The objects of a YAML file of manifests.</summary>
public static class ManifestFile
{
    /// <summary>Every object of a text with one or more YAML documents.</summary>
    public static IEnumerable<JsonObject> Parse(string text)
    {
        using var reader = new StringReader(text);
        foreach (JsonDocument document in YamlJson.Read(reader))
        {
            using (document)
            {
                yield return JsonObject.Create(document.RootElement.Clone())!;
            }
        }
    }
}
