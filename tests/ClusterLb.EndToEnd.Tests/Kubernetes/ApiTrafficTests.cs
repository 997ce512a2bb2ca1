using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>From an object at the API server to a packet: agents with the rights of their account, real sockets.</summary>
[Collection(ApiLabCollection.Name)]
public sealed class ApiTrafficTests(ApiLabFixture fixture) : IDisposable
{
    private static readonly string[] Origins = ["client-a", "client-b", "node-a", "node-b", "client"];

    public void Dispose() => fixture.AssertNoDamage();

    [LabFact]
    public async Task Traffic_follows_the_pods_of_a_service()
    {
        await fixture.CreateServiceAsync("web", 1);
        await fixture.RunAsync("web", "web-1");
        await EveryoneReachesAsync(1, "web-1");

        await fixture.RunAsync("web", "web-2", "web-3", "web-4");
        await EveryoneReachesAsync(1, "web-2", "web-3", "web-4");

        await fixture.RunAsync("web");
        await Eventually.IsAsync("it is refused", async () => (await ConnectAsync("client-a", 1)).Failure == "refused");
        Assert.Equal("refused", (await ConnectAsync("client-a", 1)).Failure);

        await fixture.RunAsync("web", "web-4");
        await EveryoneReachesAsync(1, "web-4");
    }

    [LabFact]
    public async Task Traffic_goes_on_while_the_server_is_away_and_what_changed_arrives_afterwards()
    {
        await fixture.CreateServiceAsync("stays", 2);
        await fixture.RunAsync("stays", "web-1");
        await EveryoneReachesAsync(2, "web-1");

        await fixture.Server.KillAsync();
        foreach (string origin in Origins)
        {
            Assert.Equal("web-1", (await ConnectAsync(origin, 2)).Answer?.Pod);
        }

        await Eventually.IsAsync("status tells it", () => Status().StartsWith("ClusterLb:  DEGRADED: what is known is served", StringComparison.Ordinal));
        string healthz = await HealthzAsync();
        Assert.StartsWith("HTTP/1.1 200 ", healthz, StringComparison.Ordinal);
        Assert.Contains("\"warnings\":\"changes in the API server are not followed, what is known is served: ", healthz, StringComparison.Ordinal);

        await fixture.Server.StartAsync();
        await Eventually.IsAsync("status tells that it is back", () => Status().StartsWith("ClusterLb:  Ok\n", StringComparison.Ordinal));
        await fixture.RunAsync("stays", "web-3");
        await EveryoneReachesAsync(2, "web-3");
    }

    [LabFact]
    public async Task An_annotation_that_nobody_knows_is_a_Warning_event_of_its_service()
    {
        await fixture.CreateServiceAsync("odd", 3);
        await fixture.Server.PatchAsync("services", ApiLabFixture.Space, "odd", new JsonObject
        {
            ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { ["clusterlb.io/algoritm"] = "maglev" } },
        });

        string seen = "";
        await Eventually.IsAsync(
            () => $"an event tells it; {seen}",
            async () =>
            {
                IReadOnlyList<JsonObject> events = await fixture.Server.EventsAsync(ApiLabFixture.Space);
                seen = string.Join('\n', events.Select(e => e.ToJsonString()));
                return events.Any(e => (string?)e["regarding"]?["name"] == "odd" && (string?)e["regarding"]?["kind"] == "Service"
                    && (string?)e["type"] == "Warning" && (string?)e["reason"] == "AnnotationIgnored"
                    && ((string?)e["note"] ?? "").Contains("clusterlb.io/algoritm", StringComparison.Ordinal));
            });
    }

    private string Status() => fixture.Clusterlb("node-a", "status").Output;

    private async Task<string> HealthzAsync()
    {
        using Socket socket = fixture.Lab.Namespace("node-a").OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, 10256);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync("GET /healthz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"u8.ToArray());
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    // Which of the pods answers is left to chance; that no other does, and none fails, is not.
    private async Task EveryoneReachesAsync(byte number, params string[] pods)
    {
        foreach (string origin in Origins)
        {
            await Eventually.IsAsync(
                $"{origin} reaches {string.Join(" or ", pods)}",
                async () => (await ConnectAsync(origin, number)).Answer is { } answer && pods.Contains(answer.Pod));
            for (int i = 0; i < 10; i++)
            {
                Attempt attempt = await ConnectAsync(origin, number);
                Assert.Equal("", attempt.Failure);
                Assert.Contains(attempt.Answer!.Pod, pods);
            }
        }
    }

    private Task<Attempt> ConnectAsync(string from, byte number) => Connector.OnceAsync(
        TrafficTarget.Of(fixture.Lab, from, IpAddr.Parse(ApiLabFixture.AddressOf(number)), 80), ConnectProtocol.Http, LabFixture.Timeout);
}
