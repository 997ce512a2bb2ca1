using System.Text;
using ClusterLb.Agent.HealthCheck;

namespace ClusterLb.Tests.Agent;

public sealed class HealthResponseTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 9, 0, 0, TimeSpan.Zero);

    private static readonly AgentHealth Good = new() { Families = ["IPv4", "IPv6"], LastUpdated = Now.AddMinutes(-3) };

    [Fact]
    public void Healthy_says_that_all_was_updated_just_now()
    {
        (int status, string body) = Answer(Good, withNode: true);
        Assert.Equal(200, status);
        Assert.Equal(
            """
            {"lastUpdated":"2026-11-21T09:00:00.0000000Z","currentTime":"2026-11-21T09:00:00.0000000Z","nodeEligible":true,"healthy":true,
            "status":{"IPv4":{"lastUpdated":"2026-11-21T09:00:00.0000000Z","currentTime":"2026-11-21T09:00:00.0000000Z","healthy":true},
            "IPv6":{"lastUpdated":"2026-11-21T09:00:00.0000000Z","currentTime":"2026-11-21T09:00:00.0000000Z","healthy":true}}}
            """.ReplaceLineEndings(""),
            body);
    }

    [Fact]
    public void Unhealthy_tells_the_age_and_the_reason()
    {
        (int status, string body) = Answer(Good with { Reasons = ["the dataplane ended"] }, withNode: false);
        Assert.Equal(503, status);
        Assert.StartsWith("{\"lastUpdated\":\"2026-11-21T08:57:00.0000000Z\",\"currentTime\":\"2026-11-21T09:00:00.0000000Z\",\"healthy\":false,", body, StringComparison.Ordinal);
        Assert.EndsWith("\"reason\":\"the dataplane ended\"}", body, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_is_drained_is_not_for_balancers_but_is_alive()
    {
        AgentHealth drained = Good with { NodeEligible = false };
        Assert.Equal(503, Answer(drained, withNode: true).Status);
        Assert.Equal(200, Answer(drained, withNode: false).Status);
        Assert.DoesNotContain("nodeEligible", Answer(drained, withNode: false).Body);
    }

    private static (int Status, string Body) Answer(AgentHealth health, bool withNode)
    {
        (int status, byte[] body) = HealthResponse.Of(health, withNode, Now);
        return (status, Encoding.UTF8.GetString(body));
    }
}
