using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ClusterLb.EndToEnd.Tests.Stage;
using ClusterLb.Lab.Stage;
using ClusterLb.Testing.Kubernetes;

namespace ClusterLb.EndToEnd.Tests.Kubernetes;

/// <summary>A lab whose agents follow an API server, as they do on nodes: real if it is at hand, with its slice controllers.</summary>
public sealed class ApiLabFixture : LabFixture
{
    /// <summary>Namespace of the tests' objects.</summary>
    public const string Space = "traffic";

    private IApiServerUnderTest? _server;
    private TcpRelay? _relay;

    public IApiServerUnderTest Server => _server!;

    protected override bool WithAgents => false;

    protected override string Tag => "k";

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        if (LabNeeds.Reason is not null)
        {
            return;
        }

        _server = await ApiServerFixture.StartServerAsync();
        foreach (LabNode node in Topology.Nodes)
        {
            await Server.CreateAsync(ApiObjects.Node(node.Name, "zone-1"));
        }

        if (Server is RealApiServer real)
        {
            await real.StartControllersAsync();
        }

        // The nodes reach the server by the switch, from which a relay leads to this process's loopback.
        Socket listener = Lab.Namespace(LabTopology.SwitchName).OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Parse(LabTopology.NodeGateway4.ToString()), 0));
        listener.Listen();
        _relay = new TcpRelay(listener, Server.EndPoint);
        string kubeconfig = Path.Combine(Lab.Folder, "kubeconfig");
        await File.WriteAllTextAsync(
            kubeconfig, Kubeconfig.Text(new Uri($"https://{_relay.EndPoint}"), Server.AuthorityPem, Server.AgentToken, "localhost"));
        await Lab.StartAgentsAsync(kubeconfig);
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_relay is not null)
        {
            await _relay.DisposeAsync();
        }

        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    /// <summary>A service at 10.96.1.NUMBER port 80 for the pods that <see cref="RunAsync"/> says.</summary>
    public async Task CreateServiceAsync(string name, byte number)
    {
        JsonObject service = ApiObjects.Service(Space, name, AddressOf(number));
        service["spec"]!["selector"] = new JsonObject { ["app"] = name };
        await Server.CreateAsync(service);
        if (!Server.IsReal)
        {
            await Server.CreateAsync(ApiObjects.Slice(Space, name, "1", []));
        }
    }

    /// <summary>From now on these pods of the lab, and no others, are the service's: the slices are the controllers' work.</summary>
    public async Task RunAsync(string service, params IReadOnlyList<string> pods)
    {
        if (!Server.IsReal)
        {
            var endpoints = new JsonArray([.. pods.Select(p => Topology.Pod(p)).Select(p => ApiObjects.Endpoint(p.Ipv4.ToString(), node: p.Node.Name))]);
            await Server.PatchAsync("endpointslices", Space, $"{service}-1", new JsonObject { ["endpoints"] = endpoints });
            return;
        }

        foreach (LabPod pod in Topology.Pods.Where(p => !p.HostNetwork))
        {
            string name = $"{service}-{pod.Name}";
            await Server.DeleteAsync("pods", Space, name);
            if (pods.Contains(pod.Name))
            {
                await Server.CreateAsync(ApiObjects.Pod(Space, name, service, pod.Node.Name));
                string address = pod.Ipv4.ToString();
                await Server.PatchAsync("pods", Space, name, new JsonObject
                {
                    ["status"] = new JsonObject
                    {
                        ["phase"] = "Running",
                        ["podIP"] = address,
                        ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address }),
                        ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = "True" }),
                    },
                }, "status");
            }
        }
    }

    /// <summary>The cluster IP of <see cref="CreateServiceAsync"/>.</summary>
    public static string AddressOf(byte number) => $"10.96.1.{number}";
}
