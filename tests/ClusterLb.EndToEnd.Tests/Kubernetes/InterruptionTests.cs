using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>The API server, or the way to it, fails: what is known stays in the maps, what changed meanwhile arrives afterwards.</summary>
[Collection(ApiServerCollection.Name)]
public sealed class InterruptionTests(ApiServerFixture fixture) : ApiServerTestBase(fixture)
{
    [Fact]
    public async Task The_server_restarts()
    {
        await CreateAsync("web", 20, "10.244.1.5");
        await ServesAsync(20, "10.244.1.5:8080");

        await Server.KillAsync();
        await Eventually.IsAsync("the agent notices", () => !Node.Server.Connected);
        Assert.NotEmpty(Node.Server.LastError);
        Serves(20, "10.244.1.5:8080");
        await Server.StartAsync();

        await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.6");
        await ServesAsync(20, "10.244.1.6:8080");
        await Eventually.IsAsync("it is connected again", () => Node.Server is { Connected: true, LastError: "" });
    }

    [Fact]
    public async Task History_is_forgotten_while_the_agent_is_cut_off()
    {
        await CreateAsync("stays", 21, "10.244.1.5");
        await CreateAsync("goes", 22, "10.244.1.6");
        await ServesAsync(21, "10.244.1.5:8080");
        await ServesAsync(22, "10.244.1.6:8080");

        Relay.Refuse();
        await Fixture.DeleteAsync(Space, "goes");
        await Fixture.SetEndpointsAsync(Space, "stays-1", "10.244.1.7");
        await CreateAsync("comes", 23, "10.244.1.8");
        await Server.RestartCompactedAsync();
        Serves(21, "10.244.1.5:8080");
        Serves(22, "10.244.1.6:8080");
        Relay.Accept();

        await ServesAsync(22, null);
        await ServesAsync(21, "10.244.1.7:8080");
        await ServesAsync(23, "10.244.1.8:8080");
    }

    [Fact]
    public async Task The_watch_breaks_in_the_middle_of_a_line_again_and_again()
    {
        await CreateAsync("web", 24, "10.244.1.1");
        var random = new Random(24);
        for (int i = 2; i <= 21; i++)
        {
            int before = Relay.Connections;
            Relay.CutAfter(random.Next(1, 600)); // a change of a slice is some 1,000 bytes here
            await Fixture.SetEndpointsAsync(Space, "web-1", $"10.244.1.{i}", $"10.244.2.{i}");
            await Eventually.IsAsync("the connection was cut and made again", () => Relay.Connections > before);
        }

        Relay.CutAfter(long.MaxValue);
        await ServesAsync(24, "10.244.1.21:8080", "10.244.2.21:8080");
        Assert.Empty(Node.Faults);
    }

    [Fact]
    public async Task The_first_list_breaks_in_the_middle_and_is_made_again()
    {
        for (byte i = 60; i < 80; i++)
        {
            await CreateAsync($"web-{i}", i, "10.244.1.5", "10.244.1.6");
        }

        await using TcpRelay relay = TcpRelay.OnLoopback(Server.EndPoint);
        relay.CutAfter(12_000); // inside the list: twenty slices are more
        await using SyncedNode late = SyncedNode.Start(ApiServerFixture.NodeName, Fixture.KubeconfigOf(relay));
        await Eventually.IsAsync("the first sync is complete", () => late.Sync.IsSynced);

        Assert.True(relay.Connections > 1, "nothing was cut");
        for (byte i = 60; i < 80; i++)
        {
            Assert.Equal(["10.244.1.5:8080", "10.244.1.6:8080"], late.BackendsOf(ApiServerFixture.AddressOf(i), 80));
        }
    }

    [Fact]
    public async Task A_server_that_hangs_is_left_for_another_connection()
    {
        await CreateAsync("web", 25, "10.244.1.5");
        await ServesAsync(25, "10.244.1.5:8080");

        Relay.HangOpen();
        await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.6");

        await ServesAsync(25, "10.244.1.6:8080");
    }

    [Fact]
    public async Task A_server_that_stalls_and_goes_on_has_lost_nothing()
    {
        await CreateAsync("web", 26, "10.244.1.5");
        await ServesAsync(26, "10.244.1.5:8080");

        Relay.Stall();
        await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.6");
        await Task.Delay(200); // so that there is something to hold back
        Serves(26, "10.244.1.5:8080");
        Relay.Resume();

        await ServesAsync(26, "10.244.1.6:8080");
    }

    [Fact]
    public async Task A_slow_server_is_waited_for()
    {
        await using TcpRelay relay = TcpRelay.OnLoopback(Server.EndPoint);
        relay.Delay = TimeSpan.FromMilliseconds(100);
        await CreateAsync("web", 27, "10.244.1.5");
        await using SyncedNode slow = SyncedNode.Start(ApiServerFixture.NodeName, Fixture.KubeconfigOf(relay));

        await Eventually.IsAsync("the slow list is complete", () => slow.Sync.IsSynced);
        Assert.Equal(["10.244.1.5:8080"], slow.BackendsOf(ApiServerFixture.AddressOf(27), 80));
        Assert.Equal("", slow.Server.LastError);
    }
}
