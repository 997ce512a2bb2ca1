using System.Net;
using System.Net.Sockets;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>Services whose endpoints somebody else writes, and services without an address.</summary>
internal sealed class SliceChecks : ICheckGroup
{
    public string Name => "endpoint slices";

    public async Task RunAsync(CheckBed bed, CheckList list)
    {
        IPAddress a1 = bed.AddressOf("a1");
        IPAddress b1 = bed.AddressOf("b1");
        IPAddress a2 = bed.AddressOf("a2");
        await list.CheckAsync("several slices with several ports", async () =>
        {
            CheckedService two = bed.Service("slices", "{ports: [{name: one, port: 80}, {name: two, port: 81}, {name: three, port: 80, protocol: UDP}]}");
            bed.Apply(Slice("slices-1", "slices", "[{name: one, port: 8080}]", a1));
            bed.Apply(Slice("slices-2", "slices", "[{name: two, port: 8080}, {name: three, port: 8081, protocol: UDP}]", a2));
            await Probe.AnswersFromAsync(bed.Pod1, two.At(), "a1");
            await Probe.AnswersFromAsync(bed.Pod1, two.At(81), "a2");
            await Probe.UdpAnswersFromAsync(bed.Pod1, two.At(), "a2");
            await Probe.AnswersFromAsync(bed.Node2.Origin, two.At(81), "a2");
        });
        await list.CheckAsync("several slices with several addresses", async () =>
        {
            CheckedService more = bed.Service("more", "{ports: [{name: one, port: 80}]}");
            bed.Apply(Slice("more-1", "more", "[{name: one, port: 8080}]", a1));
            bed.Apply(Slice("more-2", "more", "[{name: one, port: 8080}]", b1, a2));
            await Probe.AnswersFromAsync(bed.Pod1, more.At(), "a1", "b1", "a2");
            bed.Kubectl("delete", "endpointslice", "more-1");
            await Probe.AnswersFromAsync(bed.Pod1, more.At(), "b1", "a2");
        });
        await list.CheckAsync("a slice of IPv6", async () =>
        {
            CheckedService six = bed.Service("six", "{ipFamilyPolicy: SingleStack, ipFamilies: [IPv6], ports: [{port: 80}]}");
            bed.Apply(Slice("six-1", "six", "[{port: 8080}]", bed.AddressOf("b2", AddressFamily.InterNetworkV6)));
            await Probe.AnswersFromAsync(bed.Pod1, six.At6(), "b2");
            await Probe.AnswersFromAsync(bed.Node1.Origin, six.At6(), "b2");
        });
        await list.CheckAsync("Endpoints by hand are mirrored, changed and deleted", async () =>
        {
            CheckedService mirrored = bed.Service("mirrored", "{ports: [{name: one, port: 80}]}");
            bed.Apply(Endpoints("mirrored", a1));
            await Probe.AnswersFromAsync(bed.Pod2, mirrored.At(), "a1");
            bed.Apply(Endpoints("mirrored", a2));
            await Probe.AnswersFromAsync(bed.Pod2, mirrored.At(), "a2");
            bed.Kubectl("delete", "endpoints", "mirrored");
            await Probe.RefusesAsync(bed.Pod2, mirrored.At());
        });
        await list.CheckAsync("an endpoint that is not ready is not asked, one that serves while it terminates is when there is no other", async () =>
        {
            CheckedService conditions = bed.Service("conditions", "{ports: [{name: one, port: 80}]}");
            bed.Apply(Slice("conditions-1", "conditions", "[{name: one, port: 8080}]", "{ready: false}", a1));
            bed.Apply(Slice("conditions-2", "conditions", "[{name: one, port: 8080}]", "{ready: false, serving: true, terminating: true}", b1));
            await Probe.AnswersFromAsync(bed.Pod1, conditions.At(), "b1");
            bed.Apply(Slice("conditions-3", "conditions", "[{name: one, port: 8080}]", "{ready: true}", a2));
            await Probe.AnswersFromAsync(bed.Pod1, conditions.At(), "a2");
        });
        await list.CheckAsync("a headless service has no address to serve, and does not disturb", async () =>
        {
            bed.Service("headless", "{clusterIP: None, selector: {app: server}, ports: [{name: web, port: 8080}]}");
            await Probe.AnswersFromAsync(bed.Pod1, bed.ServiceOf("after").At(), bed.AllServers);
        });
        await list.CheckAsync("an endpoint that is no pod: a node's address by hand", async () =>
        {
            CheckedService node = bed.Service("beyond", "{ports: [{name: one, port: 80}]}");
            await bed.StartAsync(new PodOrder("beyond", bed.Node2.Name, "beyond") { IsOnHostNetwork = true, HttpPort = 18086, UdpPort = 18087 });
            bed.Apply(Slice("beyond-1", "beyond", "[{name: one, port: 18086}]", bed.Node2.Address));
            foreach (Origin from in bed.Insiders)
            {
                await Probe.AnswersFromAsync(from, node.At(), bed.Node2.Name);
            }
        });
    }

    private static string Slice(string name, string service, string ports, params IReadOnlyList<IPAddress> addresses) => Slice(name, service, ports, "{ready: true}", addresses);

    private static string Slice(string name, string service, string ports, string conditions, params IReadOnlyList<IPAddress> addresses) =>
        $$"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: {{name}}, namespace: {{CheckBed.Namespace}}, labels: {kubernetes.io/service-name: {{service}}, endpointslice.kubernetes.io/managed-by: clusterlb-checks} }
        addressType: {{(addresses[0].AddressFamily == AddressFamily.InterNetwork ? "IPv4" : "IPv6")}}
        ports: {{ports}}
        endpoints: [{{string.Join(", ", addresses.Select(a => $"{{addresses: ['{a}'], conditions: {conditions} }}"))}}]
        """;

    private static string Endpoints(string name, IPAddress address) =>
        $$"""
        apiVersion: v1
        kind: Endpoints
        metadata: {name: {{name}}, namespace: {{CheckBed.Namespace}} }
        subsets: [{addresses: [{ip: {{address}} }], ports: [{name: one, port: 8080}]}]
        """;
}
