using System.Net;
using System.Text.Json.Nodes;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>What deploy/kubernetes gives to a cluster is what its API server takes.</summary>
[Collection(ApiServerCollection.Name)]
public sealed class ManifestTests(ApiServerFixture fixture)
{
    public static TheoryData<string> Files => [.. Directory.EnumerateFiles(Folder, "*.yaml").Select(f => Path.GetFileName(f)!)];

    private static string Folder => Path.GetDirectoryName(Checkout.PathOf("deploy/kubernetes/rbac.yaml"))!;

    [RealApiServerTheory]
    [MemberData(nameof(Files))]
    public async Task Every_object_is_valid_for_the_server_field_by_field(string file)
    {
        KubernetesApi server = ((RealApiServer)fixture.Server).Admin;
        foreach (JsonObject item in ManifestFile.Parse(await File.ReadAllTextAsync(Path.Combine(Folder, file))))
        {
            // What `kubectl apply --server-side --dry-run=server` asks; an unknown field is an error, not a warning.
            string path = KubernetesApi.PathOf(
                (string)item["apiVersion"]!, RealApiServer.PluralOf((string)item["kind"]!), (string?)item["metadata"]!["namespace"] ?? "",
                (string)item["metadata"]!["name"]!);
            JsonObject made = await server.SendAsync(
                HttpMethod.Patch, $"{path}?dryRun=All&fieldManager=test&fieldValidation=Strict&force=true", item, "application/apply-patch+yaml");
            Assert.Equal((string?)item["metadata"]!["name"], (string?)made["metadata"]!["name"]);
        }
    }

    [RealApiServerFact]
    public async Task A_field_that_does_not_exist_would_be_noticed()
    {
        KubernetesApi server = ((RealApiServer)fixture.Server).Admin;
        JsonObject item = ApiObjects.Service("default", "strict", "");
        item["spec"]!["noSuchField"] = true;

        KubernetesApiException refused = await Assert.ThrowsAsync<KubernetesApiException>(() => server.SendAsync(
            HttpMethod.Patch, KubernetesApi.PathOf("v1", "services", "default", "strict") + "?dryRun=All&fieldManager=test&fieldValidation=Strict",
            item, "application/apply-patch+yaml"));

        Assert.True(refused.Status is HttpStatusCode.BadRequest or HttpStatusCode.InternalServerError, $"{refused.Status}");
        Assert.Contains("noSuchField", refused.Message, StringComparison.Ordinal);
    }
}
