using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Services that change their type, and the labels that take them from the proxy.</summary>
internal sealed class TypeChecks : ICheckGroup
{
    public string Name => "type and labels";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        await list.CheckAsync("ExternalName to ClusterIP", async () =>
        {
            bed.Service("name-to-cluster", "{type: ExternalName, externalName: example.com}");
            bed.Patch("name-to-cluster", $$$"""{"spec":{"type":"ClusterIP","externalName":null,"selector":{"app":"server"},"ports":[{"port":80,"targetPort":8080}]}}""");
            await Probe.AnswersFromAsync(bed.Pod1, bed.Service("name-to-cluster").At(), bed.AllServers);
        });
        await list.CheckAsync("ExternalName to NodePort", async () =>
        {
            bed.Service("name-to-node", "{type: ExternalName, externalName: example.com}");
            CheckedService node = bed.Patch("name-to-node", $$$"""{"spec":{"type":"NodePort","externalName":null,"selector":{"app":"server"},"ports":[{"port":80,"targetPort":8080}]}}""");
            await Probe.AnswersFromAsync(bed.Pod1, node.At(), bed.AllServers);
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(bed.Node2.Address, node.NodePort()), bed.AllServers);
        });
        await list.CheckAsync("ClusterIP to ExternalName: the cluster IP is not served any more", async () =>
        {
            CheckedService before = bed.ServiceOf("cluster-to-name");
            await Probe.AnswersFromAsync(bed.Pod1, before.At(), bed.AllServers);
            bed.Patch("cluster-to-name", """{"spec":{"type":"ExternalName","externalName":"example.com","clusterIP":"","clusterIPs":null,"selector":null}}""");
            await Probe.FailsAsync(bed.Pod1, before.At());
        });
        await list.CheckAsync("NodePort to ExternalName: neither address is served any more", async () =>
        {
            CheckedService before = bed.ServiceOf("node-to-name", more: "type: NodePort");
            var port = new IPEndPoint(bed.Node1.Address, before.NodePort());
            await Probe.AnswersFromAsync(bed.Pod1, port, bed.AllServers);
            bed.Patch("node-to-name", """{"spec":{"type":"ExternalName","externalName":"example.com","clusterIP":"","clusterIPs":null,"selector":null}}""");
            await Probe.FailsAsync(bed.Pod1, before.At());
            await Probe.FailsAsync(bed.Pod1, port);
        });
        await list.CheckAsync("ClusterIP to NodePort to LoadBalancer and back", () => UpAndDownAsync(bed));
        await list.CheckAsync("a node port changes its number", async () =>
        {
            CheckedService before = bed.ServiceOf("renumbered", "{pod: a1}", "type: NodePort");
            var old = new IPEndPoint(bed.Node1.Address, before.NodePort("web"));
            await Probe.AnswersFromAsync(bed.Pod1, old, "a1");
            bed.Kubectl("patch", "service", "renumbered", "--type=json", "-p", """[{"op":"remove","path":"/spec/ports/0/nodePort"},{"op":"replace","path":"/spec/type","value":"ClusterIP"},{"op":"remove","path":"/spec/ports/1/nodePort"}]""");
            await Probe.FailsAsync(bed.Pod1, old);
            CheckedService after = bed.Patch("renumbered", """{"spec":{"type":"NodePort"}}""");
            await Probe.AnswersFromAsync(bed.Pod1, new IPEndPoint(bed.Node1.Address, after.NodePort("web")), "a1");
        });
        await list.CheckAsync("service.kubernetes.io/service-proxy-name takes a service from the proxy, its absence gives it back", () =>
            LabelAsync(bed, "proxied", "service.kubernetes.io/service-proxy-name=another"));
        await list.CheckAsync("service.kubernetes.io/headless on a service takes nothing from the proxy: it is for slices", async () =>
        {
            CheckedService service = bed.ServiceOf("headed");
            bed.Kubectl("label", "service", "headed", "service.kubernetes.io/headless=");
            await Probe.AnswersFromAsync(bed.Pod1, service.At(), bed.AllServers);
        });
    }

    private static async Task UpAndDownAsync(CheckBed bed)
    {
        CheckedService service = bed.ServiceOf("changing", "{pod: a2}");
        await Probe.AnswersFromAsync(bed.Pod1, service.At(), "a2");
        CheckedService node = bed.Patch("changing", """{"spec":{"type":"NodePort"}}""");
        var port = new IPEndPoint(bed.Node1.Address, node.NodePort("web"));
        await Probe.AnswersFromAsync(bed.Node2.Origin, port, "a2");
        bed.Patch("changing", """{"spec":{"type":"LoadBalancer"}}""");
        var balancer = new IPEndPoint(IPAddress.Parse("203.0.113.31"), 80);
        bed.GiveAddresses("changing", """[{"ip":"203.0.113.31"}]""");
        await Probe.AnswersFromAsync(bed.Pod1, balancer, "a2");
        await Probe.AnswersFromAsync(bed.Node2.Origin, port, "a2");
        bed.Patch("changing", """{"spec":{"type":"ClusterIP"}}""");
        await Probe.FailsAsync(bed.Node2.Origin, port);
        await Probe.AnswersFromAsync(bed.Pod1, service.At(), "a2");
    }

    private static async Task LabelAsync(CheckBed bed, string name, string label)
    {
        CheckedService other = bed.ServiceOf(name + "-beside");
        CheckedService service = bed.Service(name, $"{{selector: {{app: server}}, ports: {CheckBed.Ports} }}", $"{{{label.Replace("=", ": '", StringComparison.Ordinal)}'}}");
        await Probe.AnswersFromAsync(bed.Pod1, other.At(), bed.AllServers);
        await Probe.FailsAsync(bed.Pod1, service.At());
        await Probe.FailsAsync(bed.Node2.Origin, service.At());
        bed.Kubectl("label", "service", name, label.Split('=')[0] + "-");
        await Probe.AnswersFromAsync(bed.Pod1, service.At(), bed.AllServers);
        bed.Kubectl("label", "service", name, label);
        await Probe.FailsAsync(bed.Pod1, service.At());
        await Probe.AnswersFromAsync(bed.Pod1, other.At(), bed.AllServers);
    }
}
