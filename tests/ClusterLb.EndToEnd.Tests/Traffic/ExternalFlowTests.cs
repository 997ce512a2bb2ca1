using System.Globalization;
using System.Text.Json.Nodes;
using ClusterLb.Dataplane;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Traffic;

/// <summary>Session affinity from outside, two protocols on one port, and a node whose addresses change.</summary>
[Collection(FlowLabCollection.Name)]
public sealed class ExternalFlowTests(FlowLabFixture fixture) : IDisposable
{
    private static readonly string[] External = ["NodePort", "LoadBalancer", "ExternalIP"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(500);

    public void Dispose() => fixture.AssertNoDamage();

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_has_one_backend_by_all_external_ways_while_that_one_is_eligible(bool ipv6)
    {
        LabService service = fixture.Service(ipv6 ? 81 : 80, "web-1", "web-2", "web-3", "web-4") with { AffinitySeconds = 600 };
        await fixture.ApplyAsync(service, "ExternalIP", "client");
        string pinned = await PodAsync("client", service, "NodePort", ipv6);
        string pinnedByUdp = await PodAsync("client", service, "NodePort", ipv6, ConnectProtocol.Udp); // of another service port
        foreach (string kind in (IEnumerable<string>)[.. External, .. External, .. External])
        {
            Assert.Equal(pinned, await PodAsync("client", service, kind, ipv6));
            Assert.Equal(pinnedByUdp, await PodAsync("client", service, kind, ipv6, ConnectProtocol.Udp));
        }

        // Not eligible any more: another one at once, and that one from then on, also when the first is back.
        LabPod left = fixture.Topology.Pod(pinned);
        LabService without = service with { Terminating = [left] };
        fixture.Lab.Manifests.Apply(without);
        string second = pinned;
        await Eventually.IsAsync($"{pinned} gets no new connections", async () => (second = await PodAsync("client", service, "NodePort", ipv6)) != pinned);
        fixture.Lab.Manifests.Apply(service);
        string endpoint = $"{(ipv6 ? left.Ipv6 : left.Ipv4).WithPort(LabPod.EchoPort)}/TCP";
        await Eventually.IsAsync($"all ways in to {service.Name} have {pinned} again", () => FrontendsWith(service, endpoint) == External.Length + 1); // and the ClusterIP
        foreach (string kind in External)
        {
            Assert.Equal(second, await PodAsync("client", service, kind, ipv6));
        }

        Assert.Contains(second, PodsOf(fixture.Clusterlb("node-a", "bpf", "affinity", "list").Output));
        fixture.Lab.Manifests.Remove(service);
    }

    [LabFact]
    public async Task Affinity_ends_when_its_time_is_over()
    {
        LabService service = fixture.Service(82, "web-1", "web-2", "web-3", "web-4") with { AffinitySeconds = 1 };
        await fixture.ApplyAsync(service, "NodePort", "client");
        string first = await PodAsync("client", service, "NodePort", ipv6: false);
        await Eventually.IsAsync("another pod answers after a silence of more than a second", async () =>
        {
            await Task.Delay(1_100);
            return await PodAsync("client", service, "NodePort", ipv6: false) != first;
        });
        fixture.Lab.Manifests.Remove(service);
    }

    [LabFact]
    public async Task Protocols_of_one_port_number_come_and_go_by_themselves()
    {
        LabService both = fixture.Service(83, "web-1");
        LabService udp = both with { Ports = [.. both.Ports.Where(port => port.Protocol == "UDP")] };
        LabService tcp = both with { Ports = [.. both.Ports.Where(port => port.Protocol == "TCP")] };
        foreach ((LabService step, string viaTcp, string viaUdp) in (IEnumerable<(LabService, string, string)>)
            [(udp, "refused", "web-1"), (both, "web-1", "web-1"), (tcp, "web-1", "refused"), (both, "web-1", "web-1")])
        {
            fixture.Lab.Manifests.Apply(step);
            foreach (string kind in External)
            {
                foreach (bool ipv6 in (bool[])[false, true])
                {
                    // An address that has a service at all refuses other ports of it only if it is the node's own or a ClusterIP.
                    await BecomesAsync(step, kind, ipv6, ConnectProtocol.Tcp, kind == "NodePort" || viaTcp != "refused" ? viaTcp : null);
                    await BecomesAsync(step, kind, ipv6, ConnectProtocol.Udp, kind == "NodePort" || viaUdp != "refused" ? viaUdp : null);
                }
            }
        }

        fixture.Lab.Manifests.Remove(both);
    }

    [LabTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_node_gets_and_loses_an_address_while_node_ports_are_in_use(bool ipv6)
    {
        LabService service = fixture.Service(ipv6 ? 85 : 84, "web-1");
        await fixture.ApplyAsync(service, "NodePort", "client");
        IpAddr added = IpAddr.Parse(ipv6 ? "fd31::77" : "172.31.0.77");
        TrafficTarget target = TrafficTarget.Of(fixture.Lab, "client", added, service.Exposure!.FirstNodePort + 7);
        await using CheckedStream before = await CheckedStream.StartAsync(fixture.To("client", service, "NodePort", ipv6), udp: false, Patience);

        string block = string.Create(CultureInfo.InvariantCulture, $"{added}/{(ipv6 ? 64 : 24)}");
        fixture.Exec("node-a", ["ip", "addr", "add", block, "dev", "eth0", .. ipv6 ? (string[])["nodad"] : []]);
        try
        {
            await Eventually.IsAsync("the new address answers", async () => (await Connector.OnceAsync(target, ConnectProtocol.Tcp, Short)).Answer?.Pod == "web-1");
            Assert.Equal("web-1", (await Connector.OnceAsync(target, ConnectProtocol.Udp, LabFixture.Timeout)).Answer?.Pod);
            await before.WaitForMoreAsync(20);
        }
        finally
        {
            fixture.Exec("node-a", "ip", "addr", "del", block, "dev", "eth0");
        }

        await Eventually.IsAsync("the lost address does not answer", async () => (await Connector.OnceAsync(target, ConnectProtocol.Tcp, Short)).Answer is null);
        await before.WaitForMoreAsync(20);
        Assert.Equal("", (await before.StopAsync()).Failure);
        Assert.Equal("web-1", await PodAsync("client", service, "NodePort", ipv6));
        fixture.Lab.Manifests.Remove(service);
    }

    private async Task BecomesAsync(LabService service, string kind, bool ipv6, ConnectProtocol protocol, string? wanted)
    {
        string last = "";
        await Eventually.IsAsync(() => $"{protocol} to {kind} of {service.Name} is {wanted ?? "not answered"}, not {last}", async () =>
        {
            Attempt attempt = await Connector.OnceAsync(fixture.To("client", service, kind, ipv6), protocol, Short);
            last = attempt.Answer?.Pod ?? attempt.Failure;
            return wanted is null ? attempt.Answer is null : last == wanted;
        });
    }

    private async Task<string> PodAsync(string from, LabService service, string kind, bool ipv6, ConnectProtocol protocol = ConnectProtocol.Tcp)
    {
        Attempt attempt = await Connector.OnceAsync(fixture.To(from, service, kind, ipv6), protocol, LabFixture.Timeout);
        return attempt.Answer?.Pod ?? throw new Xunit.Sdk.XunitException($"{from} to {kind} of {service.Name}: {attempt.Failure}");
    }

    /// <summary>Of one service: how many of its frontends choose between endpoints with this one among them.</summary>
    private int FrontendsWith(LabService service, string endpoint) =>
        JsonNode.Parse(fixture.Clusterlb("node-a", "service", "get", service.Name, "-o", "json").Output)!.AsArray()
            .Count(frontend => frontend!["backends"]!.AsArray().Any(slot => (string)slot!["backend"]! == endpoint && (string)slot["state"]! == "active"));

    private string[] PodsOf(string text) =>
        [.. fixture.Topology.Pods.Where(pod => text.Contains($"{pod.Ipv4}:", StringComparison.Ordinal) || text.Contains($"[{pod.Ipv6}]:", StringComparison.Ordinal)).Select(pod => pod.Name)];
}
