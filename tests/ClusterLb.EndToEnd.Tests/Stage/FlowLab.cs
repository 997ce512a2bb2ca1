using ClusterLb.Dataplane;
using ClusterLb.Lab.Client;
using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A lab in which the backends of exposed services come, go and die.</summary>
[CollectionDefinition(Name)]
public sealed class FlowLabCollection : ICollectionFixture<FlowLabFixture>
{
    public const string Name = "lab in which backends die";
}

/// <summary>Its tests make services of their own, each with another index, and take them away again.</summary>
public sealed class FlowLabFixture : ExposedLabFixture
{
    protected override string Tag => "f";

    // Every test changes services several times; and source ports shall run out with few clients.
    protected override LabSettings Settings => new("iptables: {minSyncPeriod: 20ms, syncPeriod: 2s}", "snatPorts: 5000-5009");

    /// <summary>A service by cluster IP, node port, load balancer and external address.</summary>
    /// <param name="index">Its own: 60 to 90.</param>
    /// <param name="pods">Its endpoints.</param>
    public LabService Service(int index, params string[] pods) =>
        new($"flows-{index}", index, Topology.Service("web").Ports, [.. pods.Select(Topology.Pod)])
        {
            Exposure = new LabExposure(30_000 + (10 * index))
            {
                LoadBalancerIps = [LoadBalancerIp(index, ipv6: false), LoadBalancerIp(index, ipv6: true)],
                ExternalIps = [ExternalIp(index, ipv6: false), ExternalIp(index, ipv6: true)],
            },
        };

    /// <summary>From a member to a service, by one of the ways in: ClusterIP, NodePort, LoadBalancer, ExternalIP.</summary>
    public TrafficTarget To(string from, LabService service, string kind, bool ipv6, int port = 7)
    {
        LabNode a = Topology.Node("node-a");
        IpAddr address = kind switch
        {
            "ClusterIP" => service.ClusterIp(ipv6),
            "NodePort" => ipv6 ? a.Ipv6 : a.Ipv4,
            "LoadBalancer" => LoadBalancerIp(service.Index, ipv6),
            _ => ExternalIp(service.Index, ipv6),
        };
        return TrafficTarget.Of(Lab, from, address, kind == "NodePort" ? service.Exposure!.FirstNodePort + port : port);
    }

    /// <summary>Writes the service, and waits until new connections find one of its endpoints, or nobody.</summary>
    public async Task ApplyAsync(LabService service, string kind = "ClusterIP", string from = "client-a")
    {
        Lab.Manifests.Apply(service);
        string[] wanted = [.. service.Backends.Except(service.Terminating).Except(service.NotReady).Select(p => p.Name).DefaultIfEmpty("refused")];
        foreach (bool ipv6 in (bool[])[false, true])
        {
            string last = "";
            await Eventually.IsAsync(() => $"{service.Name} is answered by {string.Join(" or ", wanted)}, not by {last}", async () =>
            {
                Attempt attempt = await Connector.OnceAsync(To(from, service, kind, ipv6), ConnectProtocol.Tcp, Timeout);
                last = attempt.Answer?.Pod ?? attempt.Failure;
                return wanted.Contains(last);
            });
        }
    }

    /// <summary>The pod hears nothing and says nothing from now on, as if its node had lost power; the result brings it back.</summary>
    public IDisposable Die(string pod)
    {
        Exec(pod, "nft", "add table inet dead; add chain inet dead in { type filter hook input priority 0; policy drop; }; "
            + "add chain inet dead out { type filter hook output priority 0; policy drop; }");
        return new Resurrection(() => Exec(pod, "nft", "delete", "table", "inet", "dead"));
    }

    /// <summary>Packets that were dropped or refused for this reason, by all workers of node-a.</summary>
    public ulong Drops(DropReason reason) =>
        ClusterLb.Dataplane.Pipeline.PipelineCounters.Read(Lab.Agent("node-a").StateDirectory).Drops(reason);

    private sealed class Resurrection(Action undo) : IDisposable
    {
        public void Dispose() => undo();
    }
}
