using System.Text.Json.Nodes;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>The stage itself: the servers start, restart with their data, forget, and leave nothing behind.</summary>
public sealed class RealApiServerTests
{
    [RealApiServerFact]
    public async Task It_restarts_with_its_data_and_leaves_nothing_behind()
    {
        int[] processes;
        await using (RealApiServer server = await RealApiServer.StartAsync(""))
        {
            Assert.Matches(@"^kube-apiserver v1\.\d+\.\d+", server.Version);
            JsonObject made = await server.CreateAsync(Namespace("kept"));
            await server.CreateAsync(Namespace("later")); // the newest version is never forgotten
            processes = [.. server.Processes];

            await server.RestartCompactedAsync();

            JsonObject read = await server.Admin.SendAsync(HttpMethod.Get, "/api/v1/namespaces/kept");
            Assert.Equal((string?)made["metadata"]!["uid"], (string?)read["metadata"]!["uid"]);
            string old = (string)made["metadata"]!["resourceVersion"]!;
            processes = [.. processes, .. server.Processes];
            KubernetesApiException expired = await Assert.ThrowsAsync<KubernetesApiException>(
                () => server.Admin.SendAsync(HttpMethod.Get, $"/api/v1/namespaces?resourceVersion={old}&resourceVersionMatch=Exact"));
            Assert.Equal(System.Net.HttpStatusCode.Gone, expired.Status);
        }

        Assert.DoesNotContain(processes, p => Directory.Exists($"/proc/{p}"));
    }

    private static JsonObject Namespace(string name) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Namespace",
        ["metadata"] = new JsonObject { ["name"] = name },
    };
}
