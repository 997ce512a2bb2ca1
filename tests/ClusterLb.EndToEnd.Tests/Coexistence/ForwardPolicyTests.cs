using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>A FORWARD chain that drops what no rule accepts: Docker's and firewalld's.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class ForwardPolicyTests(CoexistenceLabFixture fixture) : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);

    public void Dispose()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA("for t in iptables ip6tables; do $t -P FORWARD ACCEPT; $t -F FORWARD; done");
        }
    }

    [LabFact]
    public async Task Traffic_passes_it_only_with_the_rules_that_the_agent_adds_and_removes()
    {
        fixture.OnNodeA("for t in iptables ip6tables; do $t -A FORWARD -i docker0 -j ACCEPT; $t -P FORWARD DROP; done"); // Docker
        foreach (bool ipv6 in (bool[])[false, true])
        {
            Attempt dropped = await Connector.OnceAsync(fixture.To("client-a", "on-node-a", ipv6, 80), ConnectProtocol.Http, Short);
            Assert.NotEqual("", dropped.Failure);
        }

        (string verdict, string text) = fixture.Check("forward policy");
        Assert.Equal("failed", verdict);
        Assert.Contains("steering.acceptForwarding: true", text, StringComparison.Ordinal);

        await fixture.RestartAgentAsync("steering: {acceptForwarding: true}\n");
        foreach (bool ipv6 in (bool[])[false, true])
        {
            await fixture.AnswersAsync("client-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1"); // forwarded on both legs
            await fixture.AnswersAsync("client-a", "on-node-b", ipv6, attempt => attempt.Answer?.Pod == "web-3");
            await fixture.AnswersAsync("node-a", "on-node-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
            await fixture.AnswersAsync("client", "local-a", ipv6, attempt => attempt.Answer?.Pod == "web-1");
        }

        Assert.Equal("ok", fixture.Check("forward policy").Verdict);
        Assert.Contains("-i clb0 -j ACCEPT", fixture.OnNodeA("ip6tables -S FORWARD"), StringComparison.Ordinal);

        await fixture.RestartAgentAsync("");
        await Eventually.IsAsync("the rules go with the setting", () => !fixture.OnNodeA("iptables -S FORWARD; ip6tables -S FORWARD").Contains("clb0", StringComparison.Ordinal));
    }

    [LabFact]
    public async Task The_rules_come_after_those_of_others_who_decide_about_pods()
    {
        // firewalld's iptables backend: the chain ends with a rule, not with its policy.
        fixture.OnNodeA("iptables -A FORWARD -d 10.244.1.12 -p tcp --dport 8080 -j DROP; for t in iptables ip6tables; do $t -A FORWARD -j REJECT; done");
        await fixture.RestartAgentAsync("steering: {acceptForwarding: true}\n");
        await fixture.AnswersAsync("client-a", "on-node-a", ipv6: true, attempt => attempt.Answer?.Pod == "web-1");

        Attempt forbidden = await Connector.OnceAsync(fixture.To("client-a", "on-node-a", ipv6: false, 80), ConnectProtocol.Http, Short);

        Assert.Equal("timeout", forbidden.Failure);
        await fixture.RestartAgentAsync(""); // which looks at the node once when it starts
        await Eventually.IsAsync("the agent tells of it", () => fixture.Lab.Agent("node-a").LogTail(200).Contains("check=\"forward policy\"", StringComparison.Ordinal));
    }
}
