using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Firewalls that drop what the kernel's tracking calls invalid, kube-proxy's own among them.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class InvalidDropTests(CoexistenceLabFixture fixture) : IAsyncLifetime
{
    private const string Rule = "FORWARD -m conntrack --ctstate INVALID -j DROP";

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA($"for t in iptables ip6tables; do while $t -D {Rule} 2>/dev/null; do :; done; done");
        }

        return Task.CompletedTask;
    }

    [LabFact]
    public async Task A_transfer_passes_a_firewall_that_drops_what_is_invalid()
    {
        const long Bytes = 3_000_000;
        fixture.OnNodeA($"for t in iptables ip6tables; do $t -I {Rule}; done");

        foreach (bool ipv6 in (bool[])[false, true])
        {
            foreach (TrafficTarget target in (TrafficTarget[])
                [fixture.To("client-a", "on-node-b", ipv6, 7), fixture.To("client-a", "on-node-a", ipv6, 7), fixture.To(LabTopology.ClientName, "NodePort", "cluster-b", ipv6, 7)])
            {
                StreamReport report = await BulkTransfer.RunAsync(target, Bytes, TimeSpan.FromSeconds(30));
                Assert.Equal(("", Bytes), (report.Failure, report.Bytes));
            }
        }
    }
}
