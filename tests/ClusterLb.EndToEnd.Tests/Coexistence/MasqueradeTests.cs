using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;

namespace ClusterLb.EndToEnd.Tests.Coexistence;

/// <summary>Masquerading of CNIs never hides the client's address on our two legs.</summary>
[Collection(CoexistenceCollection.Name)]
public sealed class MasqueradeTests(CoexistenceLabFixture fixture) : IDisposable
{
    public void Dispose()
    {
        if (LabNeeds.Reason is null)
        {
            fixture.OnNodeA("for t in iptables ip6tables; do $t -t nat -F POSTROUTING; done; nft delete table inet cni 2>/dev/null || true");
        }
    }

    [LabTheory]
    [InlineData("iptables -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE; ip6tables -t nat -A POSTROUTING -s fd10:244::/48 ! -d fd10:244::/48 -j MASQUERADE")]
    [InlineData("iptables -t nat -A POSTROUTING ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE --random-fully; ip6tables -t nat -A POSTROUTING ! -s fd10:244::/48 -d fd10:244::/48 -j MASQUERADE --random-fully")]
    [InlineData("for t in iptables ip6tables; do $t -t nat -A POSTROUTING -j MASQUERADE; done")]
    [InlineData("nft 'table inet cni { chain post { type nat hook postrouting priority srcnat; masquerade fully-random; }; }'")]
    public async Task The_backend_sees_the_client(string rules)
    {
        fixture.OnNodeA(rules);

        foreach (bool ipv6 in (bool[])[false, true])
        {
            foreach ((string from, string service) in ((string, string)[])[("client-a", "on-node-a"), ("client-a", "on-node-b"), ("client", "local-a")])
            {
                foreach (ConnectProtocol protocol in Enum.GetValues<ConnectProtocol>())
                {
                    Attempt attempt = await Connector.OnceAsync(fixture.Reach(from, service, ipv6, protocol), protocol, LabFixture.Timeout);
                    Assert.True(attempt.Failure == "" && attempt.Answer!.Client == attempt.LocalAddress, $"{from} to {service}, {protocol}, IPv6 {ipv6}: {attempt}");
                }
            }
        }

        (string verdict, string text) = fixture.Check("masquerade");
        Assert.True(verdict == "ok", text);
        Assert.Contains("rewrites source addresses; ours (priority 90) is asked first", text, StringComparison.Ordinal);
    }

    [LabFact]
    public void Masquerading_before_ours_is_told()
    {
        fixture.OnNodeA("nft 'table inet cni { chain post { type nat hook postrouting priority 50; ip saddr 10.244.0.0/16 masquerade; }; }'");

        (string verdict, string text) = fixture.Check("masquerade");

        Assert.Equal("failed", verdict);
        Assert.Contains("nft inet cni post (priority 50)", text, StringComparison.Ordinal);
    }
}
