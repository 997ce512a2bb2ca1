using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Load balancers' and external addresses, as a controller or a user writes them.</summary>
internal sealed class LoadBalancerChecks : ICheckGroup
{
    public string Name => "load balancer and external IP";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("balancer", more: "type: LoadBalancer, externalIPs: [203.0.113.61, 'fd00:203::61']");
        bed.GiveAddresses("balancer", """[{"ip":"203.0.113.62"},{"ip":"fd00:203::62"}]""");
        IPAddress[] addresses = [.. ((string[])["203.0.113.61", "203.0.113.62", "fd00:203::61", "fd00:203::62"]).Select(IPAddress.Parse)];
        bed.RouteFromOutside(bed.Node2, addresses);
        foreach (Origin from in bed.Everyone)
        {
            foreach (IPAddress address in addresses)
            {
                await list.CheckAsync($"{from.Name} reaches every pod by {address}, TCP and UDP", async () =>
                {
                    await Probe.AnswersFromAsync(from, new IPEndPoint(address, 80), bed.AllServers);
                    await Probe.UdpAnswersFromAsync(from, new IPEndPoint(address, 80), bed.AllServers);
                });
            }
        }

        await list.CheckAsync("an external IP that is added is served, one that is taken away is not", async () =>
        {
            bed.Patch("balancer", """{"spec":{"externalIPs":["203.0.113.63"]}}""");
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(IPAddress.Parse("203.0.113.63"), 80), bed.AllServers);
            await Probe.FailsAsync(bed.Pod1, new IPEndPoint(addresses[0], 80));
        });
        await list.CheckAsync("the port of the service changes: cluster IP, load balancer's IP and node port follow", async () =>
        {
            int nodePort = service.NodePort("web");
            bed.Kubectl("patch", "service", "balancer", "--type=json", "-p", """[{"op":"replace","path":"/spec/ports/0/port","value":81}]""");
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(addresses[1], 81), bed.AllServers);
            await Probe.AnswersFromAsync(bed.Pod1, service.At(81), bed.AllServers);
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(bed.Node1.Address, nodePort), bed.AllServers);
            await Probe.FailsAsync(bed.Pod1, new IPEndPoint(addresses[1], 80));
        });
        await RangesAsync(bed, list);
        await list.CheckAsync("ipMode Proxy: the address is left alone", async () =>
        {
            CheckedService proxied = bed.ServiceOf("proxied", "{pod: a2}", "type: LoadBalancer");
            bed.GiveAddresses("proxied", """[{"ip":"203.0.113.64","ipMode":"VIP"}]""");
            var to = new IPEndPoint(IPAddress.Parse("203.0.113.64"), 80);
            await Probe.AnswersFromAsync(bed.Pod1, to, "a2");
            bed.GiveAddresses("proxied", """[{"ip":"203.0.113.64","ipMode":"Proxy"}]""");
            await Probe.FailsAsync(bed.Pod1, to);
            await Probe.AnswersFromAsync(bed.Pod1, proxied.At(), "a2");
        });
        await list.CheckAsync("an external IP that is the node's own address", async () =>
        {
            bed.Service("own", $"{{selector: {{pod: a2}}, externalIPs: [{bed.Node1.Address}], ports: [{{port: 8765, targetPort: 8080}}]}}");
            foreach (Origin from in bed.Everyone)
            {
                await Probe.AnswersFromAsync(from, new IPEndPoint(bed.Node1.Address, 8765), "a2");
            }
        });
    }

    private static async Task RangesAsync(CheckBed bed, CheckList list)
    {
        IPAddress client = bed.AddressOf("c1");
        CheckedService service = bed.ServiceOf("ranges", "{pod: b2}", $"type: LoadBalancer, loadBalancerSourceRanges: [{client}/32]");
        bed.GiveAddresses("ranges", """[{"ip":"203.0.113.65"}]""");
        var to = new IPEndPoint(IPAddress.Parse("203.0.113.65"), 80);
        bed.RouteFromOutside(bed.Node1, to.Address);
        await list.CheckAsync("a client within the source ranges is served", () => Probe.AnswersFromAsync(bed.Pod1, to, "b2"));
        await list.CheckAsync("a pod outside of them is dropped", () => Probe.DropsAsync(bed.Pod2, to));
        await list.CheckAsync("a node outside of them is dropped", () => Probe.DropsAsync(bed.Node2.Origin, to));
        await list.CheckAsync("they are no matter to node port and cluster IP", async () =>
        {
            await Probe.AnswersFromAsync(bed.Pod2, new IPEndPoint(bed.Node1.Address, service.NodePort("web")), "b2");
            await Probe.AnswersFromAsync(bed.Pod2, service.At(), "b2");
        });
        if (bed.Outside is { } outside)
        {
            await list.CheckAsync("outside is dropped by them, and let in when they say so", async () =>
            {
                await Probe.DropsAsync(outside, to);
                bed.Patch("ranges", """{"spec":{"loadBalancerSourceRanges":["0.0.0.0/0"]}}""");
                await Probe.AnswersFromAsync(outside, to, "b2");
            });
        }

        await list.CheckAsync("changed, they hold for the next connection", async () =>
        {
            bed.Patch("ranges", $$$"""{"spec":{"loadBalancerSourceRanges":["{{{bed.AddressOf("c2")}}}/32"]}}""");
            await Probe.DropsAsync(bed.Pod1, to);
            await Probe.AnswersFromAsync(bed.Pod2, to, "b2");
            bed.Patch("ranges", """{"spec":{"loadBalancerSourceRanges":null}}""");
            await Probe.AnswersFromAsync(bed.Pod1, to, "b2");
        });
    }
}
