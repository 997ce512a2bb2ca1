using System.Diagnostics;
using System.Net;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>A service without endpoints refuses, at once, by every address that it has.</summary>
internal sealed class RefusalChecks : ICheckGroup
{
    private const string ExternalIp = "203.0.113.21";
    private const string BalancerIp = "203.0.113.22";
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(1); // a SYN that is not answered is sent again after a second

    public string Name => "no endpoints";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService empty = bed.ServiceOf("empty", "{app: nobody}", $"type: LoadBalancer, externalIPs: [{ExternalIp}]");
        bed.GiveAddresses("empty", $$"""[{"ip":"{{BalancerIp}}"}]""");
        bed.RouteFromOutside(bed.Node1, empty.At().Address, IPAddress.Parse(ExternalIp), IPAddress.Parse(BalancerIp));
        foreach (Origin from in bed.Insiders)
        {
            await BothAsync(from, "cluster IP", empty.At());
            await BothAsync(from, "cluster IP over IPv6", empty.At6());
        }

        foreach (Origin from in bed.Everyone)
        {
            await BothAsync(from, "node port", new IPEndPoint(bed.Node1.Address, empty.NodePort("web")), new IPEndPoint(bed.Node1.Address, empty.NodePort("datagram")));
            if (bed.Node1.Address6 is { } six)
            {
                await BothAsync(from, "node port over IPv6", new IPEndPoint(six, empty.NodePort("web")), new IPEndPoint(six, empty.NodePort("datagram")));
            }

            await BothAsync(from, "external IP", new IPEndPoint(IPAddress.Parse(ExternalIp), 80));
            await BothAsync(from, "load balancer's IP", new IPEndPoint(IPAddress.Parse(BalancerIp), 80));
        }

        await list.CheckAsync("with an endpoint all of them are served, without it refused again", async () =>
        {
            bed.Patch("empty", """{"spec":{"selector":{"app":null,"pod":"b2"}}}""");
            foreach (IPEndPoint to in Frontends())
            {
                await Probe.AnswersFromAsync(bed.Pod1, to, "b2");
            }

            bed.Patch("empty", """{"spec":{"selector":{"pod":"nobody"}}}""");
            foreach (IPEndPoint to in Frontends())
            {
                await Probe.RefusesAsync(bed.Pod1, to);
            }
        });

        IEnumerable<IPEndPoint> Frontends() =>
        [
            empty.At(), empty.At6(), new(bed.Node1.Address, empty.NodePort("web")), new(IPAddress.Parse(ExternalIp), 80), new(IPAddress.Parse(BalancerIp), 80),
        ];

        async Task BothAsync(Origin from, string how, IPEndPoint tcp, IPEndPoint? udp = null)
        {
            await list.CheckAsync($"{from.Name}, {how}: TCP is refused at once", async () =>
            {
                await Probe.RefusesAsync(from, tcp);
                long started = Stopwatch.GetTimestamp();
                await Probe.RefusesAsync(from, tcp);
                if (Stopwatch.GetElapsedTime(started) > AtOnce)
                {
                    throw new CheckFailedException($"only after {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");
                }
            });
            await list.CheckAsync($"{from.Name}, {how}: UDP is refused", () => Probe.UdpRefusesAsync(from, udp ?? tcp));
        }
    }
}
