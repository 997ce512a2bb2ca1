namespace ClusterLb.ClusterRun.Checks;

/// <summary>internalTrafficPolicy: Local keeps a client with the pods of its node.</summary>
internal sealed class InternalPolicyChecks : ICheckGroup
{
    public string Name => "internalTrafficPolicy";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService service = bed.ServiceOf("near", "{pod: a1}", "internalTrafficPolicy: Local");
        foreach (Origin from in (Origin[])[bed.Pod1, bed.Node1.Origin])
        {
            await list.CheckAsync($"{from.Name} reaches the pod of its node", () => Probe.AnswersFromAsync(from, service.At(), "a1"));
            await list.CheckAsync($"{from.Name} reaches the pod of its node, IPv6", () => Probe.AnswersFromAsync(from, service.At6(), "a1"));
            await list.CheckAsync($"{from.Name} reaches the pod of its node, UDP", () => Probe.UdpAnswersFromAsync(from, service.At(), "a1"));
        }

        foreach (Origin from in (Origin[])[bed.Pod2, bed.Node2.Origin])
        {
            await list.CheckAsync($"{from.Name}, without a pod on its node, is dropped", () => Probe.DropsAsync(from, service.At()));
        }

        await list.CheckAsync("changed to Cluster and back", async () =>
        {
            bed.Patch("near", """{"spec":{"internalTrafficPolicy":"Cluster"}}""");
            await Probe.AnswersFromAsync(bed.Pod2, service.At(), "a1");
            bed.Patch("near", """{"spec":{"internalTrafficPolicy":"Local"}}""");
            await Probe.DropsAsync(bed.Pod2, service.At());
        });
        await bed.StartAsync(new PodOrder("hostnear", bed.Node1.Name, "hostnear") { IsOnHostNetwork = true, HttpPort = 18084, UdpPort = 18085 });
        CheckedService host = bed.Service("hostnear", "{selector: {app: hostnear}, internalTrafficPolicy: Local, ports: [{port: 80, targetPort: 18084}]}");
        foreach (Origin from in (Origin[])[bed.Pod1, bed.Node1.Origin])
        {
            await list.CheckAsync($"{from.Name} reaches a pod in the host network of its node", () => Probe.AnswersFromAsync(from, host.At(), bed.Node1.Name));
        }

        foreach (Origin from in (Origin[])[bed.Pod2, bed.Node2.Origin])
        {
            await list.CheckAsync($"{from.Name} does not reach a pod in another node's host network", () => Probe.DropsAsync(from, host.At()));
        }
    }
}
