using System.Text.Json.Nodes;
using ClusterLb.Testing;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>One API server for the tests of a collection: the real one where it is at hand, else the fake.</summary>
public sealed class ApiServerFixture : IAsyncLifetime
{
    public const string NodeName = "node-a";

    private IApiServerUnderTest? _server;

    public IApiServerUnderTest Server => _server!;

    public async Task InitializeAsync()
    {
        _server = await StartServerAsync();
        Console.WriteLine($"API server of the tests: {_server.Version}");
        await _server.CreateAsync(ApiObjects.Node(NodeName, "zone-1"));
    }

    public async Task DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    /// <summary>Starts a server of its own for a test.</summary>
    public static async Task<IApiServerUnderTest> StartServerAsync() => RealApiServer.Assets is null
        ? await FakeApiServer.StartNewAsync()
        : await RealApiServer.StartAsync(await File.ReadAllTextAsync(Checkout.PathOf("deploy/kubernetes/rbac.yaml")));

    /// <summary>A kubeconfig of the agent's account that leads to the server by a relay.</summary>
    public string KubeconfigOf(TcpRelay relay) => Kubeconfig.Text(new Uri($"https://{relay.EndPoint}"), Server.AuthorityPem, Server.AgentToken);

    /// <summary>Creates a service at 10.96.NUMBER.1 with one slice.</summary>
    public async Task CreateAsync(string ns, string name, byte number, params IEnumerable<string> endpoints)
    {
        await Server.CreateAsync(ApiObjects.Service(ns, name, AddressOf(number)));
        await Server.CreateAsync(ApiObjects.Slice(ns, name, "1", endpoints));
    }

    /// <summary>Replaces the endpoints of a slice.</summary>
    public Task SetEndpointsAsync(string ns, string slice, params IEnumerable<string> endpoints) =>
        Server.PatchAsync("endpointslices", ns, slice, new JsonObject { ["endpoints"] = ApiObjects.Endpoints(endpoints) });

    /// <summary>Deletes a service and its first slice.</summary>
    public async Task DeleteAsync(string ns, string name)
    {
        await Server.DeleteAsync("services", ns, name);
        await Server.DeleteAsync("endpointslices", ns, $"{name}-1");
    }

    /// <summary>The cluster IP of <see cref="CreateAsync"/>.</summary>
    public static string AddressOf(byte number) => $"10.96.{number}.1";
}
