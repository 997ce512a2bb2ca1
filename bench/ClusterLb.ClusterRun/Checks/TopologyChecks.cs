namespace ClusterLb.ClusterRun.Checks;

/// <summary>trafficDistribution: clients stay near, while there is somebody near.</summary>
internal sealed class TopologyChecks : ICheckGroup
{
    public string Name => "topology";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        foreach (string distribution in (string[])["PreferClose", "PreferSameZone", "PreferSameNode"])
        {
            CheckedService service = bed.ServiceOf(distribution.ToLowerInvariant(), more: $"trafficDistribution: {distribution}, type: NodePort");
            await list.CheckAsync($"{distribution}: pods and nodes stay near", async () =>
            {
                await Probe.AnswersFromAsync(bed.Pod1, service.At(), "a1", "b1");
                await Probe.AnswersFromAsync(bed.Pod2, service.At(), "a2", "b2");
                await Probe.AnswersFromAsync(bed.Node1.Origin, service.At(), "a1", "b1");
                await Probe.AnswersFromAsync(bed.Node2.Origin, service.At6(), "a2", "b2");
                await Probe.UdpAnswersFromAsync(bed.Pod1, service.At(), "a1", "b1");
            });
            await list.CheckAsync($"{distribution}: with nobody near, those who are far", async () =>
            {
                bed.Patch(distribution.ToLowerInvariant(), $$$"""{"spec":{"selector":{"place":"{{{bed.Node2.Name}}}"} } }""");
                await Probe.AnswersFromAsync(bed.Pod1, service.At(), "a2", "b2");
            });
            await list.CheckAsync($"{distribution}: taken away, all are asked again", async () =>
            {
                bed.Patch(distribution.ToLowerInvariant(), """{"spec":{"trafficDistribution":null,"selector":{"place":null}}}""");
                await Probe.AnswersFromAsync(bed.Pod1, service.At(), bed.AllServers);
            });
        }
    }
}
