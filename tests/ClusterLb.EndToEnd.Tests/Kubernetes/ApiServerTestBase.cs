using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A node that follows the API server by a relay, in a namespace of the test's own.</summary>
public abstract class ApiServerTestBase(ApiServerFixture fixture) : IAsyncLifetime
{
    private static int _count;

    private readonly List<(byte Number, string Name)> _services = [];

    protected ApiServerFixture Fixture { get; } = fixture;

    protected IApiServerUnderTest Server => Fixture.Server;

    protected TcpRelay Relay { get; private set; } = null!;

    protected SyncedNode Node { get; set; } = null!;

    /// <summary>The namespace of this test's objects.</summary>
    protected string Space { get; } = $"test-{Interlocked.Increment(ref _count)}";

    public virtual async Task InitializeAsync()
    {
        Relay = TcpRelay.OnLoopback(Server.EndPoint);
        Node = SyncedNode.Start(ApiServerFixture.NodeName, Fixture.KubeconfigOf(Relay));
        await Eventually.IsAsync("the first sync is complete", () => Node.Sync.IsSynced);
    }

    public virtual async Task DisposeAsync()
    {
        await Node.DisposeAsync();
        await Relay.DisposeAsync();
        foreach ((_, string name) in _services)
        {
            await Fixture.DeleteAsync(Space, name);
        }
    }

    /// <summary>A service with one slice, gone after the test. Numbers are different in all tests.</summary>
    protected async Task CreateAsync(string name, byte number, params string[] endpoints)
    {
        _services.Add((number, name));
        await Fixture.CreateAsync(Space, name, number, endpoints);
    }

    /// <summary>Waits until the maps send a service's traffic to exactly these; null: the service is unknown.</summary>
    protected async Task ServesAsync(byte number, params string[]? backends)
    {
        string address = ApiServerFixture.AddressOf(number);
        string wanted = backends is null ? "unknown" : string.Join(' ', backends);
        await Eventually.IsAsync(
            () => $"the maps have {wanted} for {address}; it is {Shown(address)}; {string.Join('\n', Node.History.TakeLast(8))}",
            () => Shown(address) == wanted);
    }

    protected void Serves(byte number, params string[] backends) =>
        Assert.Equal(string.Join(' ', backends), Shown(ApiServerFixture.AddressOf(number)));

    private string Shown(string address) => Node.BackendsOf(address, 80) is { } found ? string.Join(' ', found) : "unknown";
}
