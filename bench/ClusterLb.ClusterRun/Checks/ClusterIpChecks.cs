using System.Net;
using System.Net.Sockets;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Cluster IPs: who reaches them, by which ports, and what the pod sees.</summary>
internal sealed class ClusterIpChecks : ICheckGroup
{
    public string Name => "cluster IP";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        CheckedService all = bed.ServiceOf("all");
        bed.RouteFromOutside(bed.Node1, all.At().Address, all.At6().Address);
        foreach (Origin from in bed.Everyone)
        {
            await list.CheckAsync($"{from.Name} reaches every pod, TCP", () => Probe.AnswersFromAsync(from, all.At(), bed.AllServers));
            await list.CheckAsync($"{from.Name} reaches every pod, UDP on the same number", () => Probe.UdpAnswersFromAsync(from, all.At(), bed.AllServers));
            await list.CheckAsync($"{from.Name} reaches every pod, TCP over IPv6", () => Probe.AnswersFromAsync(from, all.At6(), bed.AllServers));
            await list.CheckAsync($"{from.Name} reaches every pod, UDP over IPv6", () => Probe.UdpAnswersFromAsync(from, all.At6(), bed.AllServers));
        }

        await PortsAsync(bed, list);
        await EndpointsAsync(bed, list);
        await SourcesAsync(bed, list, all);
        await SizesAsync(bed, list);
        await HostNetworkAsync(bed, list);
    }

    private static async Task PortsAsync(CheckBed bed, CheckList list)
    {
        await list.CheckAsync("target ports are found by their names", async () =>
        {
            CheckedService named = bed.Service("named", "{selector: {pod: a2}, ports: [{name: a, port: 80, targetPort: web}, {name: b, port: 81, protocol: UDP, targetPort: datagram}]}");
            await Probe.AnswersFromAsync(bed.Pod1, named.At(), "a2");
            await Probe.UdpAnswersFromAsync(bed.Pod1, named.At(81), "a2");
        });
        await list.CheckAsync("one name is another number in each pod", async () =>
        {
            await bed.StartAsync(new PodOrder("other", bed.Node2.Name, "other") { HttpPort = 9090, Ports = "[{name: web, containerPort: 9090}]" });
            bed.Kubectl("label", "pod", "other", "named=both");
            bed.Kubectl("label", "pod", "a1", "named=both", "--overwrite");
            CheckedService both = bed.Service("both", "{selector: {named: both}, ports: [{name: a, port: 80, targetPort: web}]}");
            await Probe.AnswersFromAsync(bed.Pod1, both.At(), "a1", "other");
            bed.Kubectl("label", "pod", "a1", "named-");
        });
        await list.CheckAsync("a port that is added is served, one that is taken away is refused", async () =>
        {
            CheckedService ports = bed.Service("ports", "{selector: {pod: a1}, ports: [{name: one, port: 80, targetPort: 8080}]}");
            await Probe.AnswersFromAsync(bed.Pod2, ports.At(), "a1");
            bed.Service("ports", "{selector: {pod: a1}, ports: [{name: one, port: 80, targetPort: 8080}, {name: two, port: 82, targetPort: 8080}]}");
            await Probe.AnswersFromAsync(bed.Pod2, ports.At(82), "a1");
            await Probe.AnswersFromAsync(bed.Pod2, ports.At(), "a1");
            bed.Service("ports", "{selector: {pod: a1}, ports: [{name: two, port: 82, targetPort: 8080}]}");
            await Probe.FailsAsync(bed.Pod2, ports.At());
            await Probe.AnswersFromAsync(bed.Pod2, ports.At(82), "a1");
        });
        await list.CheckAsync("a port with an application protocol is a port as any other", () =>
            Probe.AnswersFromAsync(bed.Pod1, bed.Service("app", "{selector: {pod: a1}, ports: [{port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c}]}").At(), "a1"));
    }

    private static async Task EndpointsAsync(CheckBed bed, CheckList list)
    {
        await list.CheckAsync("endpoints follow the selector: none, one, two, one, none", async () =>
        {
            CheckedService basic = bed.ServiceOf("basic", "{basic: 'yes'}");
            await Probe.RefusesAsync(bed.Pod1, basic.At());
            bed.Kubectl("label", "pod", "a1", "basic=yes");
            await Probe.AnswersFromAsync(bed.Pod1, basic.At(), "a1");
            bed.Kubectl("label", "pod", "a2", "basic=yes");
            await Probe.AnswersFromAsync(bed.Pod1, basic.At(), "a1", "a2");
            bed.Kubectl("label", "pod", "a1", "basic-");
            await Probe.AnswersFromAsync(bed.Pod1, basic.At(), "a2");
            bed.Kubectl("label", "pod", "a2", "basic-");
            await Probe.RefusesAsync(bed.Pod1, basic.At());
        });
        await list.CheckAsync("a service that is deleted is gone; made again with the same cluster IP it is served", async () =>
        {
            CheckedService again = bed.ServiceOf("again", "{pod: a2}");
            await Probe.AnswersFromAsync(bed.Pod1, again.At(), "a2");
            bed.Kubectl("delete", "service", "again");
            await Probe.FailsAsync(bed.Pod1, again.At());
            CheckedService second = bed.Service("again", $"{{clusterIP: {again.At().Address}, selector: {{pod: b2}}, ports: {CheckBed.Ports} }}");
            await Probe.AnswersFromAsync(bed.Pod1, second.At(), "b2");
        });
        await list.CheckAsync("a pod that is not ready is not asked, unless addresses are published all the same", async () =>
        {
            bed.Start(new PodOrder("unready", bed.Node1.Name, "unready") { MoreOfContainer = "readinessProbe: {exec: {command: ['false']} }" });
            await bed.WaitUntilRunsAsync("unready");
            CheckedService service = bed.ServiceOf("unready", "{app: unready}");
            await Probe.RefusesAsync(bed.Pod2, service.At());
            bed.Patch("unready", """{"spec":{"publishNotReadyAddresses":true}}""");
            await Probe.AnswersFromAsync(bed.Pod2, service.At(), "unready");
            bed.Patch("unready", """{"spec":{"publishNotReadyAddresses":false}}""");
            await Probe.RefusesAsync(bed.Pod2, service.At());
        });
        await list.CheckAsync("readiness gates: what is served changes from one pod to the other without a lost request", () => BlueGreenAsync(bed));
    }

    private static async Task BlueGreenAsync(CheckBed bed)
    {
        const string Gate = "readinessGates: [{conditionType: example.com/serves}]";
        bed.Start(new PodOrder("blue", bed.Node1.Name, "gated") { More = Gate }, new PodOrder("green", bed.Node2.Name, "gated") { More = Gate });
        await bed.WaitUntilRunsAsync("blue");
        await bed.WaitUntilRunsAsync("green");
        CheckedService service = bed.ServiceOf("gated", "{app: gated}");
        Open("blue", "True");
        await Probe.AnswersFromAsync(bed.Pod1, service.At(), "blue");
        using var stop = new CancellationTokenSource();
        Task watch = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await Probe.HostsAsync(bed.Pod2, service.At(), 1); // throws when one is lost
                await Task.Delay(20);
            }
        });
        try
        {
            Open("green", "True");
            await Probe.AnswersFromAsync(bed.Pod1, service.At(), "blue", "green");
            Open("blue", "False");
            await Probe.AnswersFromAsync(bed.Pod1, service.At(), "green");
        }
        finally
        {
            await stop.CancelAsync();
            await watch;
        }

        void Open(string pod, string status) => bed.Kubectl("patch", "pod", pod, "--subresource=status", "--type=strategic", "-p",
            $$$"""{"status":{"conditions":[{"type":"example.com/serves","status":"{{{status}}}"}]}}""");
    }

    private static async Task SourcesAsync(CheckBed bed, CheckList list, CheckedService all)
    {
        CheckedService far = bed.ServiceOf("far", "{pod: a2}");
        await list.CheckAsync("the pod sees its client's own address", () => Probe.IsSeenAsAsync(bed.Pod1, far.At(), bed.AddressOf("c1")));
        await list.CheckAsync("the pod sees its client's own address, IPv6", () =>
            Probe.IsSeenAsAsync(bed.Pod1, far.At6(), bed.AddressOf("c1", AddressFamily.InterNetworkV6)));
        await list.CheckAsync("the pod sees its client's own address on the same node", () => Probe.IsSeenAsAsync(bed.Pod2, far.At(), bed.AddressOf("c2")));
        Origin self = bed.OriginOf("a2");
        await list.CheckAsync("a pod reaches itself through its service, TCP", () => Probe.AnswersFromAsync(self, far.At(), "a2"));
        await list.CheckAsync("a pod reaches itself through its service, UDP", () => Probe.UdpAnswersFromAsync(self, far.At(), "a2"));
        await list.CheckAsync("a pod reaches itself through its service, TCP over IPv6", () => Probe.AnswersFromAsync(self, far.At6(), "a2"));
        await list.CheckAsync("a pod reaches itself through its service, UDP over IPv6", () => Probe.UdpAnswersFromAsync(self, far.At6(), "a2"));
        await list.CheckAsync("a pod among the servers reaches all of them", () => Probe.AnswersFromAsync(self, all.At(), bed.AllServers));
    }

    private static async Task SizesAsync(CheckBed bed, CheckList list)
    {
        CheckedService far = bed.Service("far");
        string question = new('n', 2000);
        string datagram = "echo " + new string('o', 1990); // netexec reads 2048 bytes
        foreach (Origin from in bed.Insiders)
        {
            await list.CheckAsync($"{from.Name}: a request of 2,000 characters", () => Probe.AnswersAsync(from, far.At(), "/echo?msg=" + question, b => b == question));
            await list.CheckAsync($"{from.Name}: a datagram in fragments, and its answer", () => Probe.UdpAnswersAsync(from, far.At(), datagram, datagram[5..]));
            await list.CheckAsync($"{from.Name}: a datagram in fragments, and its answer, IPv6", () => Probe.UdpAnswersAsync(from, far.At6(), datagram, datagram[5..]));
        }

        foreach ((string family, IPEndPoint to) in new[] { ("IPv4", far.At()), ("IPv6", far.At6()) })
        {
            await list.CheckAsync($"a request of 30,000 characters, {family}", () =>
                Probe.AnswersAsync(bed.Pod1, to, "/echo?msg=" + new string('q', 30_000), b => b == new string('q', 30_000)));
            await list.CheckAsync($"an answer of 3 MB, {family}", () =>
                Probe.AnswersAsync(bed.Pod1, to, "/shell?cmd=head+-c+3000000+/dev/zero+|+tr+'%5C0'+x", b => b.Count(c => c == 'x') == 3_000_000));
        }
    }

    private static async Task HostNetworkAsync(CheckBed bed, CheckList list)
    {
        await bed.StartAsync([.. bed.Nodes.Select((n, i) => new PodOrder($"h{i + 1}", n.Name, "host") { IsOnHostNetwork = true, HttpPort = 18080, UdpPort = 18081 })]);
        CheckedService host = bed.Service("host",
            "{ipFamilyPolicy: PreferDualStack, selector: {app: host}, ports: [{name: web, port: 80, targetPort: 18080}, {name: datagram, port: 80, protocol: UDP, targetPort: 18081}]}");
        string[] nodes = [bed.Node1.Name, bed.Node2.Name];
        foreach (Origin from in bed.Insiders)
        {
            await list.CheckAsync($"{from.Name} reaches pods in the host network, TCP", () => Probe.AnswersFromAsync(from, host.At(), nodes));
            await list.CheckAsync($"{from.Name} reaches pods in the host network, UDP", () => Probe.UdpAnswersFromAsync(from, host.At(), nodes));
            await list.CheckAsync($"{from.Name} reaches pods in the host network, IPv6", () => Probe.AnswersFromAsync(from, host.At6(), nodes));
        }
    }
}
