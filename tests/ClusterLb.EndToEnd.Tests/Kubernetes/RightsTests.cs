using System.Text.RegularExpressions;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>What the agent's account may do, and what is said when it may not.</summary>
[Collection(ApiServerCollection.Name)]
public sealed class RightsTests(ApiServerFixture fixture) : ApiServerTestBase(fixture)
{
    [Fact]
    public void The_account_of_the_manifest_may_do_all_that_is_needed()
    {
        Assert.True(Node.Server.Connected);
        Assert.Equal("", Node.Server.LastError);
        Assert.Equal(["endpointslices", "nodes", "servicecidrs", "services"], Node.Server.Resources.Select(r => r.Resource).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(Node.History, line => line.Contains("Waiting", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("endpointslices", 40)]
    [InlineData("services", 41)]
    [InlineData("nodes", 42)]
    public async Task A_right_that_is_taken_away_is_named_and_the_rest_is_served(string plural, byte number)
    {
        await CreateAsync("web", number, "10.244.1.5");
        await ServesAsync(number, "10.244.1.5:8080");
        await Server.ForbidAgentAsync(plural);
        try
        {
            Relay.Cut(); // an open watch goes on until it is made anew
            await Eventually.IsAsync(
                () => $"the missing right is named; said is: {Node.Server.LastError}",
                () => Regex.IsMatch(Node.Server.LastError, $"the permission to (list|watch) {plural} is missing"));
            Assert.False(Node.Server.Connected);
            Serves(number, "10.244.1.5:8080");

            if (plural != "endpointslices")
            {
                await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.6");
                await ServesAsync(number, "10.244.1.6:8080");
            }
        }
        finally
        {
            await Server.ForbidAgentAsync(null);
        }

        await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.7");
        await ServesAsync(number, "10.244.1.7:8080");
        await Eventually.IsAsync("all is well again", () => Node.Server is { Connected: true, LastError: "" });
    }

    [Fact]
    public async Task A_server_that_does_not_let_us_see_service_ranges_is_served_all_the_same()
    {
        await CreateAsync("web", 43, "10.244.1.5");
        await Server.ForbidAgentAsync("servicecidrs");
        try
        {
            await using SyncedNode node = SyncedNode.Start(ApiServerFixture.NodeName, Fixture.KubeconfigOf(Relay));
            await Eventually.IsAsync("the first sync is complete", () => node.Sync.IsSynced);
            Assert.Equal(["10.244.1.5:8080"], node.BackendsOf(ApiServerFixture.AddressOf(43), 80));
            Assert.Contains("servicecidrs", node.Server.LastError, StringComparison.Ordinal);
        }
        finally
        {
            await Server.ForbidAgentAsync(null);
        }
    }

    [Fact]
    public async Task A_token_that_is_refused_is_told_and_a_new_one_in_the_file_is_used()
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, Server.AgentToken);
        try
        {
            string kubeconfig = Kubeconfig.WithTokenFile(new Uri($"https://{Relay.EndPoint}"), Server.AuthorityPem, file);
            await Node.DisposeAsync();
            Node = SyncedNode.Start(ApiServerFixture.NodeName, kubeconfig);
            await CreateAsync("web", 44, "10.244.1.5");
            await ServesAsync(44, "10.244.1.5:8080");

            await File.WriteAllTextAsync(file, "nonsense");
            Relay.Cut();
            await Eventually.IsAsync("the refusal is told", () => Node.Server.LastError.Contains("401", StringComparison.Ordinal));
            Assert.Contains("token", Node.Server.LastError, StringComparison.OrdinalIgnoreCase);
            Serves(44, "10.244.1.5:8080");

            await File.WriteAllTextAsync(file, Server.AgentToken);
            await Fixture.SetEndpointsAsync(Space, "web-1", "10.244.1.6");
            await ServesAsync(44, "10.244.1.6:8080");
        }
        finally
        {
            File.Delete(file);
        }
    }
}
