using System.Net;
using ClusterLb.Agent.HealthCheck;
using ClusterLb.Agent.Http;
using ClusterLb.Agent.Metrics;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterLb.Tests.Agent.HealthCheck;

/// <summary>/healthz and /livez over HTTP.</summary>
public sealed class HealthResponseTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 5, 1, TimeSpan.Zero);
    private static readonly DateTimeOffset Updated = new(2026, 1, 1, 0, 0, 6, 62, 500, TimeSpan.Zero);

    private static readonly AgentHealth Good = Of(new FamilyHealth("IPv4", Updated, null), new FamilyHealth("IPv6", Updated, null));

    public static TheoryData<string, AgentHealth> States => new()
    {
        { "proxy-healthy", Good },
        { "proxy-draining", Good with { NodeEligible = false } },
        { "proxy-starting", Of(new FamilyHealth("IPv4", null, null), new FamilyHealth("IPv6", null, null)) with { Reasons = ["the first sync is not complete"] } },
        { "proxy-one-family-late", Of(new FamilyHealth("IPv4", Now.AddSeconds(-1), null), new FamilyHealth("IPv6", Updated, Now.AddSeconds(-61))) },
    };

    [Theory, MemberData(nameof(States))]
    public async Task Answers_as_the_transcript(string transcript, AgentHealth health)
    {
        using var metrics = new AgentMetrics();
        var handler = new HealthHandler(() => health, metrics, new ManualTime { Start = Now.AddSeconds(-1) });
        IPEndPoint address = FreePort.OnLoopback();
        await using var server = new HttpEndpoint(address, handler.HandleAsync, NullLogger.Instance);
        await server.StartAsync();

        await HttpTranscript.CheckAsync(transcript, address);
    }

    [Fact]
    public void What_people_should_look_at_is_said_though_traffic_is_served()
    {
        (int status, byte[] body) = HealthResponse.Of(Good with { Warnings = ["services4 is full"] }, withNode: true, Now);

        Assert.Equal(200, status);
        Assert.EndsWith("},\"warnings\":\"services4 is full\"}", System.Text.Encoding.UTF8.GetString(body), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(59, true)]
    [InlineData(60, false)]
    public void A_family_is_late_when_a_change_has_waited_for_two_periods(int seconds, bool healthy)
    {
        var changes = new FamilyChanges(Now.AddSeconds(-seconds), Now, Updated);
        Assert.Equal(healthy, FamilyHealth.Of("IPv4", changes, Now, TimeSpan.FromSeconds(30)).Healthy);
    }

    [Fact]
    public void An_idle_family_is_never_late() =>
        Assert.True(FamilyHealth.Of("IPv4", new FamilyChanges(null, Now.AddDays(-1), Updated), Now, TimeSpan.FromSeconds(30)).Healthy);

    private static AgentHealth Of(params FamilyHealth[] families) => new() { Families = [.. families] };
}
