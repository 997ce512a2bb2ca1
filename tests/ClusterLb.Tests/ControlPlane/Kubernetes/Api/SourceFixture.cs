using System.Text;
using System.Text.Json.Nodes;
using ClusterLb.ControlPlane.Kubernetes.Api;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Testing.Kubernetes;
using Kubeconfig = ClusterLb.Testing.Kubernetes.Kubeconfig;

namespace ClusterLb.Tests.ControlPlane.Kubernetes.Api;

/// <summary>A fake API server, a source that follows it with little patience, and its store.</summary>
internal sealed class SourceFixture : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static readonly ApiTimes Impatient = new()
    {
        Connect = TimeSpan.FromSeconds(5),
        MinBackoff = TimeSpan.FromMilliseconds(20),
        MaxBackoff = TimeSpan.FromMilliseconds(200),
    };

    private readonly CancellationTokenSource _stop = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusterlb-source-");
    private readonly List<ApiResourceStatus> _statuses = [];
    private Task _running = Task.CompletedTask;

    private SourceFixture(FakeApiServer server) => Server = server;

    public FakeApiServer Server { get; }

    public ClusterStateStore Store { get; } = new("node-a");

    public ApiServerSource Source { get; private set; } = null!;

    /// <summary>Every status of every resource so far.</summary>
    public IReadOnlyList<ApiResourceStatus> Statuses
    {
        get
        {
            lock (_statuses)
            {
                return [.. _statuses];
            }
        }
    }

    /// <summary>A server, and no source yet.</summary>
    public static async Task<SourceFixture> PrepareAsync(FakeApiServer? server = null) => new(server ?? await FakeApiServer.StartNewAsync());

    /// <summary>A server with a source that has listed everything.</summary>
    public static async Task<SourceFixture> StartAsync(Action<FakeApiServer>? prepare = null, ApiTimes? times = null)
    {
        SourceFixture fixture = await PrepareAsync();
        prepare?.Invoke(fixture.Server);
        fixture.Follow(times);
        await fixture.UntilAsync(() => fixture.Store.IsSourceComplete);
        return fixture;
    }

    public static JsonObject Service(string name, string address = "10.96.0.10", int port = 80) => new()
    {
        ["kind"] = "Service",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "test" },
        ["spec"] = new JsonObject
        {
            ["clusterIP"] = address,
            ["clusterIPs"] = new JsonArray(address),
            ["ports"] = new JsonArray(new JsonObject { ["port"] = port, ["name"] = "http" }),
        },
    };

    public static JsonObject Slice(string name, string service, params string[] addresses) => new()
    {
        ["kind"] = "EndpointSlice",
        ["apiVersion"] = "discovery.k8s.io/v1",
        ["addressType"] = "IPv4",
        ["metadata"] = new JsonObject
        {
            ["name"] = name,
            ["namespace"] = "test",
            ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = service },
            ["annotations"] = new JsonObject { ["endpoints.kubernetes.io/last-change-trigger-time"] = "2026-01-02T03:04:05.123456789Z" },
        },
        ["ports"] = new JsonArray(new JsonObject { ["port"] = 8080, ["name"] = "http" }),
        ["endpoints"] = new JsonArray([.. addresses.Select(a => new JsonObject { ["addresses"] = new JsonArray(a) })]),
    };

    public static JsonObject Node(string name, string zone = "z1") => new()
    {
        ["kind"] = "Node",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject { ["name"] = name, ["labels"] = new JsonObject { ["topology.kubernetes.io/zone"] = zone } },
    };

    public static JsonObject ServiceCidr(string name, params string[] blocks) => new()
    {
        ["kind"] = "ServiceCIDR",
        ["apiVersion"] = "networking.k8s.io/v1",
        ["metadata"] = new JsonObject { ["name"] = name },
        ["spec"] = new JsonObject { ["cidrs"] = new JsonArray([.. blocks.Select(b => JsonValue.Create(b))]) },
    };

    /// <summary>Writes a file into this test's folder.</summary>
    public string Write(string name, string text)
    {
        string path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path + ".new", text, Encoding.UTF8);
        File.Move(path + ".new", path, overwrite: true);
        return path;
    }

    /// <summary>How to reach the server as the agent.</summary>
    public ApiConnection Connection() =>
        ClusterLb.ControlPlane.Kubernetes.Api.Kubeconfig.Load(Write("kubeconfig", Kubeconfig.Text(new Uri($"https://{Server.EndPoint}"), Server.AuthorityPem, Server.AgentToken)));

    /// <summary>Begins to follow the server.</summary>
    public void Follow(ApiTimes? times = null, ApiConnection? connection = null)
    {
        Source = new ApiServerSource(connection ?? Connection(), times ?? Impatient);
        Source.Changed += status =>
        {
            lock (_statuses)
            {
                _statuses.Add(status);
            }
        };
        _running = Source.RunAsync(Store, _stop.Token);
    }

    public Service? Find(string service) => Store.Get(new ObjectName("test", service)).Service;

    public int Backends(string service) => Store.Get(new ObjectName("test", service)).Slices.Sum(slice => slice.Backends.Length);

    public ApiResourceStatus Status(string plural) => Source.Status.Resources.Single(r => r.Resource == plural);

    public int Count(string verb, string plural) => Server.Requests.Count(r => r.Verb == verb && r.Plural == plural);

    /// <summary>Waits for something that must become true.</summary>
    public async Task UntilAsync(Func<bool> condition, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(condition))] string what = "")
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, $"never: {what}; {Source?.Status}; {string.Join("; ", Statuses.TakeLast(6))}");
            Assert.False(_running.IsFaulted, _running.Exception?.ToString());
            await Task.WhenAny(Task.Delay(5, CancellationToken.None), Task.Delay(Timeout.Infinite, patience.Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        Source?.Dispose();
        await Server.DisposeAsync();
        _stop.Dispose();
        _folder.Delete(recursive: true);
    }
}
