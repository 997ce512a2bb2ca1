using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Pods that are about to end: asked only when nobody else is left.</summary>
internal sealed class TerminationChecks : ICheckGroup
{
    private const int ServesOnSeconds = 100;

    public string Name => "terminating pods";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        await bed.StartAsync(
            new PodOrder("t1", bed.Node1.Name, "leaving") { ServesOnSeconds = ServesOnSeconds },
            new PodOrder("stays", bed.Node2.Name, "staying"),
            new PodOrder("t3", bed.Node1.Name, "mixed") { ServesOnSeconds = ServesOnSeconds },
            new PodOrder("r3", bed.Node2.Name, "mixed"));
        CheckedService cluster = bed.ServiceOf("leaving", "{app: leaving}", "type: NodePort");
        CheckedService near = bed.ServiceOf("leaving-near", "{app: leaving}", "internalTrafficPolicy: Local");
        CheckedService local = bed.ServiceOf("leaving-local", "{app: leaving}", "type: LoadBalancer, externalTrafficPolicy: Local");
        CheckedService mixed = bed.ServiceOf("mixed", "{app: mixed}", "type: NodePort, externalTrafficPolicy: Local");
        CheckedService mixedNear = bed.ServiceOf("mixed-near", "{app: mixed}", "internalTrafficPolicy: Local");
        var localPort = new IPEndPoint(bed.Node1.Address, local.NodePort("web"));
        var mixedPort = new IPEndPoint(bed.Node1.Address, mixed.NodePort("web"));
        await Probe.AnswersFromAsync(bed.Pod2, cluster.At(), "t1");
        await ExternalPolicyChecks.SaysAsync(bed.Pod2, bed.Node1, local.HealthCheckNodePort, 200, 1);
        bed.End("t1", "t3");
        await bed.WaitAsync("the pods are terminating", () => TerminatingEndpoints(bed) >= 2);
        await list.CheckAsync("health check node port says 503 when all pods terminate", () =>
            ExternalPolicyChecks.SaysAsync(bed.Pod2, bed.Node1, local.HealthCheckNodePort, 503, 0));
        foreach (Origin from in bed.Insiders)
        {
            await list.CheckAsync($"{from.Name}: cluster IP falls back to them", () => Probe.AnswersFromAsync(from, cluster.At(), "t1"));
            await list.CheckAsync($"{from.Name}: node port falls back to them", () =>
                Probe.AnswersFromAsync(from, new IPEndPoint(bed.Node2.Address, cluster.NodePort("web")), "t1"));
        }

        foreach (Origin from in (Origin[])[bed.Pod1, bed.Node1.Origin])
        {
            await list.CheckAsync($"{from.Name}: internalTrafficPolicy Local falls back to those of its node", () => Probe.AnswersFromAsync(from, near.At(), "t1"));
            await list.CheckAsync($"{from.Name}: the same with ready ones elsewhere", () => Probe.AnswersFromAsync(from, mixedNear.At(), "t3"));
        }

        await list.CheckAsync("internalTrafficPolicy Local elsewhere is dropped", () => Probe.DropsAsync(bed.Pod2, near.At()));
        await list.CheckAsync("cluster IP asks the ready ones only, as long as there is one", () => Probe.AnswersFromAsync(bed.Pod1, mixed.At(), "r3"));
        await list.CheckAsync("externalTrafficPolicy Local, another node: falls back to those of the node", async () =>
        {
            await Probe.AnswersFromAsync(bed.Node2.Origin, localPort, "t1");
            await Probe.AnswersFromAsync(bed.Node2.Origin, mixedPort, "t3");
        });
        // A pod of the other node would not hear from its neighbour r3, with kube-proxy neither: it is not masqueraded, and the answer goes past this node.
        await list.CheckAsync("externalTrafficPolicy Local, a pod of the node: the ready ones of the cluster", () => Probe.AnswersFromAsync(bed.Pod1, mixedPort, "r3"));
        if (bed.Outside is { } outside)
        {
            await list.CheckAsync("externalTrafficPolicy Local, outside: falls back to those of the node", async () =>
            {
                await Probe.AnswersFromAsync(outside, localPort, "t1");
                await Probe.AnswersFromAsync(outside, mixedPort, "t3");
            });
        }

        await list.CheckAsync("a terminating pod reaches services", async () =>
        {
            CheckedService staying = bed.ServiceOf("staying", "{app: staying}");
            Origin leaving = bed.OriginOf("t1");
            await Probe.AnswersFromAsync(leaving, staying.At(), "stays");
            await Probe.UdpAnswersFromAsync(leaving, staying.At(), "stays");
        });
        await list.CheckAsync("published while not ready: terminating pods count as ready", async () =>
        {
            bed.Patch("mixed", """{"spec":{"publishNotReadyAddresses":true}}""");
            await Probe.AnswersFromAsync(bed.Pod2, mixed.At(), "r3", "t3");
        });
        await list.CheckAsync("gone, they are refused", async () =>
        {
            await bed.KillAsync("t1");
            await Probe.RefusesAsync(bed.Pod2, cluster.At());
            await Probe.RefusesAsync(bed.Pod2, new IPEndPoint(bed.Node2.Address, cluster.NodePort("web")));
        });
    }

    private static int TerminatingEndpoints(CheckBed bed) => bed.Get("endpointslices", "-l", "kubernetes.io/service-name in (leaving-near, mixed-near)")["items"]!.AsArray()
        .Where(s => (string?)s!["addressType"] == "IPv4")
        .Sum(s => s!["endpoints"]?.AsArray().Count(e => (bool?)e!["conditions"]?["terminating"] == true) ?? 0);
}
