using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Session affinity by client address: it holds, it ends in time, it is switched on and off.</summary>
internal sealed class AffinityChecks : ICheckGroup
{
    private const int Requests = 20; // four pods without affinity do not answer alike so often
    private const int TimeoutSeconds = 4;

    public string Name => "session affinity";

    /// <summary>All requests are answered by one pod.</summary>
    public static Task StaysAsync(Origin from, IPEndPoint to) => HearsAsync(from, to, "one pod for all", pods => pods.Count == 1);

    /// <summary>Requests are answered by several pods.</summary>
    public static Task SpreadsAsync(Origin from, IPEndPoint to) => HearsAsync(from, to, "several pods", pods => pods.Count > 1);

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService sticky = bed.ServiceOf("sticky", more: "type: NodePort, sessionAffinity: ClientIP, externalIPs: [203.0.113.41]");
        IPEndPoint[] frontends = [sticky.At(), sticky.At6(), new(bed.Node2.Address, sticky.NodePort("web")), new(IPAddress.Parse("203.0.113.41"), 80)];
        string[] names = ["cluster IP", "cluster IP, IPv6", "node port", "external IP"];
        foreach (Origin from in bed.Insiders)
        {
            for (int i = 0; i < frontends.Length; i++)
            {
                IPEndPoint to = frontends[i];
                await list.CheckAsync($"{from.Name} stays with a pod by {names[i]}", () => StaysAsync(from, to));
            }
        }

        await list.CheckAsync("datagrams stay with a pod, too", () => Probe.HoldsAsync("one pod", async () =>
        {
            var pods = new HashSet<string>(StringComparer.Ordinal);
            for (int i = 0; i < Requests; i++)
            {
                Answer answer = await Probe.UdpAsync(bed.Pod1, sticky.At(), "hostname");
                pods.Add(answer.Failure.Length > 0 ? answer.Failure : answer.Body);
            }

            return pods.Count == 1 && bed.AllServers.Contains(pods.First()) ? "" : string.Join(" ", pods);
        }));
        await list.CheckAsync("it is switched off and on, cluster IP", () => SwitchAsync(bed, sticky.At()));
        await list.CheckAsync("it is switched off and on, node port", () => SwitchAsync(bed, new IPEndPoint(bed.Node1.Address, sticky.NodePort("web"))));
        CheckedService brief = bed.ServiceOf("brief",
            more: $"type: NodePort, sessionAffinity: ClientIP, sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {TimeoutSeconds} }} }}");
        await list.CheckAsync("it ends after the timeout, cluster IP", () => EndsAsync(bed.Pod1, brief.At()));
        await list.CheckAsync("it ends after the timeout, node port", () => EndsAsync(bed.Pod2, new IPEndPoint(bed.Node1.Address, brief.NodePort("web"))));
        await list.CheckAsync("when its pod goes, its clients stay with another one", async () =>
        {
            await bed.StartAsync(new PodOrder("left", bed.Node1.Name, "leaver"), new PodOrder("right", bed.Node2.Name, "leaver"));
            CheckedService leaver = bed.ServiceOf("leaver", "{app: leaver}", "sessionAffinity: ClientIP");
            await StaysAsync(bed.Pod1, leaver.At());
            string gone = (await Probe.HostsAsync(bed.Pod1, leaver.At(), 1))[0];
            await bed.KillAsync(gone);
            await Probe.AnswersFromAsync(bed.Pod1, leaver.At(), gone == "left" ? "right" : "left");
        });
    }

    private static async Task SwitchAsync(CheckBed bed, IPEndPoint to)
    {
        await StaysAsync(bed.Pod1, to);
        bed.Patch("sticky", """{"spec":{"sessionAffinity":"None"}}""");
        await SpreadsAsync(bed.Pod1, to);
        bed.Patch("sticky", """{"spec":{"sessionAffinity":"ClientIP"}}""");
        await StaysAsync(bed.Pod1, to);
    }

    // Within the timeout the pod stays; each time after it another one may be chosen, and soon is.
    private static async Task EndsAsync(Origin from, IPEndPoint to)
    {
        await StaysAsync(from, to);
        string first = (await Probe.HostsAsync(from, to, 1))[0];
        for (int i = 0; i < 12; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(TimeoutSeconds + 1));
            if ((await Probe.HostsAsync(from, to, 1))[0] != first)
            {
                return;
            }
        }

        throw new CheckFailedException($"{from.Name} to {to}: after twelve timeouts it is still {first}");
    }

    private static Task HearsAsync(Origin from, IPEndPoint to, string what, Func<HashSet<string>, bool> isRight) =>
        Probe.HoldsAsync($"{from.Name} to {to}, {what}", async () =>
        {
            try
            {
                HashSet<string> pods = [.. await Probe.HostsAsync(from, to, Requests)];
                return isRight(pods) ? "" : string.Join(" ", pods);
            }
            catch (CheckFailedException e)
            {
                return e.Message;
            }
        });
}
