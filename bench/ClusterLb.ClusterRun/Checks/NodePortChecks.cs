using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Node ports: on which addresses, for whom, and what the pod sees.</summary>
internal sealed class NodePortChecks : ICheckGroup
{
    public string Name => "node port";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService all = bed.ServiceOf("ports", more: "type: NodePort");
        int tcp = all.NodePort("web");
        int udp = all.NodePort("datagram");
        foreach (Origin from in bed.Everyone)
        {
            foreach (CheckedNode node in bed.Nodes)
            {
                await list.CheckAsync($"{from.Name} reaches every pod by {node.Name}, TCP", () => Probe.AnswersFromAsync(from, new IPEndPoint(node.Address, tcp), bed.AllServers));
                await list.CheckAsync($"{from.Name} reaches every pod by {node.Name}, UDP", () => Probe.UdpAnswersFromAsync(from, new IPEndPoint(node.Address, udp), bed.AllServers));
                if (node.Address6 is { } six)
                {
                    await list.CheckAsync($"{from.Name} reaches every pod by {node.Name}, TCP over IPv6", () => Probe.AnswersFromAsync(from, new IPEndPoint(six, tcp), bed.AllServers));
                    await list.CheckAsync($"{from.Name} reaches every pod by {node.Name}, UDP over IPv6", () => Probe.UdpAnswersFromAsync(from, new IPEndPoint(six, udp), bed.AllServers));
                }
            }
        }

        await LoopbackAsync(bed, list, tcp, udp);
        await OthersAsync(bed, list);
    }

    // As kube-proxy in iptables mode; in nftables mode there are no node ports on loopback.
    private static async Task LoopbackAsync(CheckBed bed, CheckList list, int tcp, int udp)
    {
        foreach (CheckedNode node in bed.Nodes)
        {
            await list.CheckAsync($"{node.Origin.Name} reaches pods of both nodes by 127.0.0.1, TCP", () =>
                Probe.AnswersFromAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, tcp), bed.AllServers));
            await list.CheckAsync($"{node.Origin.Name} reaches pods of both nodes by 127.0.0.1, UDP", () =>
                Probe.UdpAnswersFromAsync(node.Origin, new IPEndPoint(IPAddress.Loopback, udp), bed.AllServers));
        }

        await list.CheckAsync("session affinity holds for 127.0.0.1", async () =>
        {
            CheckedService sticky = bed.ServiceOf("sticky-local", more: "type: NodePort, sessionAffinity: ClientIP");
            await AffinityChecks.StaysAsync(bed.Node1.Origin, new IPEndPoint(IPAddress.Loopback, sticky.NodePort("web")));
        });
    }

    private static async Task OthersAsync(CheckBed bed, CheckList list)
    {
        await list.CheckAsync("one number for TCP and UDP", async () =>
        {
            CheckedService one = bed.Service("one-number", """
                {type: NodePort, selector: {pod: b1}, ports: [{name: web, port: 80, targetPort: 8080, nodePort: 31953}, {name: datagram, port: 80, protocol: UDP, targetPort: 8081, nodePort: 31953}]}
                """.Trim());
            await Probe.AnswersFromAsync(bed.Pod2, new IPEndPoint(bed.Node1.Address, one.NodePort("web")), "b1");
            await Probe.UdpAnswersFromAsync(bed.Pod2, new IPEndPoint(bed.Node1.Address, one.NodePort("datagram")), "b1");
        });
        await list.CheckAsync("a pod reaches itself by a node port", async () =>
        {
            CheckedService self = bed.ServiceOf("self", "{pod: a1}", "type: NodePort");
            Origin pod = bed.OriginOf("a1");
            await Probe.AnswersFromAsync(pod, new IPEndPoint(bed.Node1.Address, self.NodePort("web")), "a1");
            await Probe.UdpAnswersFromAsync(pod, new IPEndPoint(bed.Node1.Address, self.NodePort("datagram")), "a1");
            await Probe.AnswersFromAsync(pod, new IPEndPoint(bed.Node2.Address, self.NodePort("web")), "a1");
        });
        await bed.StartAsync([.. bed.Nodes.Select((n, i) => new PodOrder($"p{i + 1}", n.Name, "porthost") { IsOnHostNetwork = true, HttpPort = 18082, UdpPort = 18083 })]);
        CheckedService host = bed.Service("porthost",
            "{type: NodePort, selector: {app: porthost}, ports: [{name: web, port: 80, targetPort: 18082}, {name: datagram, port: 80, protocol: UDP, targetPort: 18083}]}");
        foreach (Origin from in bed.Everyone)
        {
            await list.CheckAsync($"{from.Name} reaches pods in the host network", async () =>
            {
                foreach (CheckedNode node in bed.Nodes)
                {
                    await Probe.AnswersFromAsync(from, new IPEndPoint(node.Address, host.NodePort("web")), bed.Node1.Name, bed.Node2.Name);
                    await Probe.UdpAnswersFromAsync(from, new IPEndPoint(node.Address, host.NodePort("datagram")), bed.Node1.Name, bed.Node2.Name);
                }
            });
        }

        await list.CheckAsync("a node port that is gone is not served, and may be another's", async () =>
        {
            CheckedService first = bed.Service("first", "{type: NodePort, selector: {pod: a1}, ports: [{port: 80, targetPort: 8080, nodePort: 31954}]}");
            var to = new IPEndPoint(bed.Node2.Address, first.NodePort());
            await Probe.AnswersFromAsync(bed.Pod1, to, "a1");
            bed.Kubectl("delete", "service", "first");
            await Probe.RefusesAsync(bed.Pod1, to); // the node's own refusal: nobody listens
            bed.Service("second", "{type: NodePort, selector: {pod: b2}, ports: [{port: 80, targetPort: 8080, nodePort: 31954}]}");
            await Probe.AnswersFromAsync(bed.Pod1, to, "b2");
        });
    }
}
