using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>What nobody serves: refused at once where the client should know, silent where it must not leave the node.</summary>
public abstract class RefusalTests(LabFixture fixture) : IDisposable
{
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(1);

    public static IEnumerable<object[]> Clients =>
        from client in (string[])["client-a", "node-a", "client"]
        from protocol in (ConnectProtocol[])[ConnectProtocol.Http, ConnectProtocol.Udp]
        from ipv6 in (bool[])[false, true]
        select new object[] { client, protocol, ipv6 };

    public void Dispose()
    {
        fixture.AssertNoDamage();
        GC.SuppressFinalize(this);
    }

    [LabTheory, MemberData(nameof(Clients))]
    public async Task A_service_without_endpoints_refuses_at_once(string from, ConnectProtocol protocol, bool ipv6) =>
        AssertRefused(await fixture.ConnectAsync(from, "empty", ipv6, protocol));

    [LabTheory, MemberData(nameof(Clients))]
    public async Task A_port_that_the_service_does_not_have_is_refused_at_once(string from, ConnectProtocol protocol, bool ipv6) =>
        AssertRefused(await Connector.OnceAsync(fixture.To(from, "web", ipv6, port: 81), protocol, LabFixture.Timeout));

    [LabTheory, MemberData(nameof(Clients))]
    public async Task A_closed_port_of_the_backend_is_refused_by_the_backend(string from, ConnectProtocol protocol, bool ipv6) =>
        AssertRefused(await fixture.ConnectAsync(from, "closed", ipv6, protocol));

    [LabTheory]
    [InlineData("client-a", false)]
    [InlineData("client-a", true)]
    [InlineData("node-b", false)]
    public async Task An_address_without_service_is_silent_and_does_not_leave_the_node(string from, bool ipv6)
    {
        LabService nobody = new("nobody", 200, [], []);
        Attempt attempt = await Connector.OnceAsync(
            TrafficTarget.Of(fixture.Lab, from, nobody.ClusterIp(ipv6), 80), ConnectProtocol.Http, TimeSpan.FromMilliseconds(300));

        Assert.Equal("timeout", attempt.Failure);
    }

    private static void AssertRefused(Attempt attempt)
    {
        Assert.Equal("refused", attempt.Failure);
        Assert.True(attempt.Elapsed < AtOnce, $"refused only after {attempt.Elapsed.TotalMilliseconds:0} ms");
    }
}

[Collection(LabCollection.Name)]
public sealed class Refusals_with_offloads(LabFixture fixture) : RefusalTests(fixture);

[Collection(PlainLabCollection.Name)]
public sealed class Refusals_without_offloads(PlainLabFixture fixture) : RefusalTests(fixture);
