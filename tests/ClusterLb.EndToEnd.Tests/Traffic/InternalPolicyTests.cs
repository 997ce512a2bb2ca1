using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>internalTrafficPolicy Local on real packets: who is inside meets the endpoints of its own node, or nobody.</summary>
[Collection(FlowLabCollection.Name)]
public sealed class InternalPolicyTests(FlowLabFixture fixture) : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);

    public void Dispose() => fixture.AssertNoDamage();

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_node_sends_its_own_to_its_own_endpoints_and_where_there_is_none_nowhere(bool ipv6)
    {
        LabService service = fixture.Service(ipv6 ? 87 : 86, "web-1", "web-3") with { IsInternalLocal = true };
        fixture.Lab.Manifests.Apply(service);
        foreach ((string from, string pod) in ((string, string)[])[("client-a", "web-1"), ("web-1", "web-1"), ("node-a", "web-1"), ("client-b", "web-3")])
        {
            await BecomesAsync(from, pod, ConnectProtocol.Tcp);
            for (int i = 0; i < 8; i++) // the other endpoint would have been chosen by now
            {
                Assert.Equal(pod, (await AskAsync(from, ConnectProtocol.Tcp, LabFixture.Timeout)).Answer?.Pod);
                Assert.Equal(pod, (await AskAsync(from, ConnectProtocol.Udp, LabFixture.Timeout)).Answer?.Pod);
            }
        }

        // There are endpoints, but none here: what comes is dropped, not refused.
        fixture.Lab.Manifests.Apply(service with { Backends = [fixture.Topology.Pod("web-3")] });
        await BecomesAsync("client-a", "timeout", ConnectProtocol.Tcp);
        ulong dropped = fixture.Drops(DropReason.NoLocalBackend);
        await BecomesAsync("node-a", "timeout", ConnectProtocol.Udp);
        await Eventually.IsAsync("it was dropped for this", () => fixture.Drops(DropReason.NoLocalBackend) > dropped);
        await BecomesAsync("client-b", "web-3", ConnectProtocol.Tcp);
        fixture.Lab.Manifests.Remove(service);

        Task<Attempt> AskAsync(string from, ConnectProtocol protocol, TimeSpan patience) =>
            Connector.OnceAsync(fixture.To(from, service, "ClusterIP", ipv6), protocol, patience);

        async Task BecomesAsync(string from, string wanted, ConnectProtocol protocol)
        {
            string last = "";
            await Eventually.IsAsync(() => $"{from} by {protocol} meets {wanted}, not {last}", async () =>
            {
                Attempt attempt = await AskAsync(from, protocol, Short);
                last = attempt.Answer?.Pod ?? attempt.Failure;
                return last == wanted;
            });
        }
    }
}
