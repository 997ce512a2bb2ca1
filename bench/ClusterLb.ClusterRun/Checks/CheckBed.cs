using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun.Checks;

/// <summary>What all checks work with: two nodes, a client pod and two servers on each, and a namespace for their objects.</summary>
/// <remarks>Servers: <c>a1</c> and <c>b1</c> on the first node, <c>a2</c> and <c>b2</c> on the second, label <c>app: server</c>.</remarks>
internal sealed class CheckBed(ClusterSettings settings, Kubectl kubectl, OutsideRoute outside, CancellationToken cancel)
{
    public const string Namespace = "clusterlb-checks";

    /// <summary>The ports that most services here have: 80 for both protocols.</summary>
    public const string Ports = "[{name: web, port: 80, targetPort: 8080}, {name: datagram, port: 80, protocol: UDP, targetPort: 8081}]";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static readonly string[] Base = ["a1", "b1", "a2", "b2", "c1", "c2"];

    private readonly List<string> _extraPods = [];

    public CheckedNode Node1 { get; private set; } = null!;

    public CheckedNode Node2 { get; private set; } = null!;

    public Origin Pod1 { get; private set; } = null!;

    public Origin Pod2 { get; private set; } = null!;

    /// <summary>Null in a cluster that nobody reaches from outside.</summary>
    public Origin? Outside { get; } = settings.Outside is { } ns ? new Origin("outside", ns, HasDns: false) : null;

    public IReadOnlyList<string> AllServers { get; } = ["a1", "b1", "a2", "b2"];

    /// <summary>Client pods and nodes.</summary>
    public IReadOnlyList<Origin> Insiders => [Pod1, Pod2, Node1.Origin, Node2.Origin];

    /// <summary>Client pods, nodes and outside.</summary>
    public IReadOnlyList<Origin> Everyone => Outside is null ? Insiders : [.. Insiders, Outside];

    /// <summary>The nodes and their clients by name, for what is the same of both.</summary>
    public IReadOnlyList<CheckedNode> Nodes => [Node1, Node2];

    /// <summary>Makes all of it.</summary>
    public async Task CreateAsync()
    {
        if (settings.Nodes.Count < 2)
        {
            throw new LabException("The checks need two nodes.");
        }

        kubectl.Run("delete", "namespace", Namespace, "--ignore-not-found", "--timeout=50s");
        kubectl.Apply($"{{apiVersion: v1, kind: Namespace, metadata: {{name: {Namespace} }} }}");
        Node1 = NodeAt(0);
        Node2 = NodeAt(1);
        await StartAsync([.. Base.Select(name => new PodOrder(name, name[1] == '1' ? Node1.Name : Node2.Name, name[0] == 'c' ? "client" : "server"))]);
        _extraPods.Clear();
        Pod1 = OriginOf("c1", $"pod on {Node1.Name}");
        Pod2 = OriginOf("c2", $"pod on {Node2.Name}");
    }

    /// <summary>Removes all of it.</summary>
    public void Delete() => kubectl.Run("delete", "namespace", Namespace, "--ignore-not-found", "--wait=false");

    /// <summary>Removes what a group made; the servers and clients that all use stay.</summary>
    public void Clear()
    {
        kubectl.Run("delete", "services,endpoints,endpointslices", "--all", "-n", Namespace, "--wait=false");
        if (_extraPods.Count > 0)
        {
            kubectl.Run(["delete", "pods", "-n", Namespace, "--force", "--grace-period=0", "--ignore-not-found", "--wait=false", .. _extraPods]);
            _extraPods.Clear();
        }
    }

    /// <summary>Creates or changes a service; <paramref name="spec"/> is YAML of one line.</summary>
    public CheckedService Service(string name, string spec, string labels = "{}")
    {
        kubectl.Apply($"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {Namespace}, labels: {labels} }}\nspec: {spec}\n");
        return Service(name);
    }

    /// <summary>The service as it is now.</summary>
    public CheckedService Service(string name) => new(kubectl.Get("service", name, "-n", Namespace));

    /// <summary>A dual-stack service of all servers, or of those that another selector finds.</summary>
    public CheckedService ServiceOf(string name, string selector = "{app: server}", string more = "") =>
        Service(name, $"{{ipFamilyPolicy: PreferDualStack, selector: {selector}, ports: {Ports}{(more.Length > 0 ? ", " + more : "")} }}");

    /// <summary>Changes a service by a JSON merge patch.</summary>
    public CheckedService Patch(string name, string patch)
    {
        kubectl.Run("patch", "service", name, "-n", Namespace, "--type=merge", "-p", patch);
        return Service(name);
    }

    /// <summary>Writes what a load balancer's controller would: the addresses of the status, JSON.</summary>
    public void GiveAddresses(string name, string ingress) => kubectl.Run(
        "patch", "service", name, "-n", Namespace, "--subresource=status", "--type=merge", "-p", $$$"""{"status":{"loadBalancer":{"ingress":{{{ingress}}} } } }""");

    /// <summary>Applies any object of YAML in the checks' namespace.</summary>
    public void Apply(string yaml) => kubectl.Apply(yaml);

    /// <summary>kubectl, in the checks' namespace.</summary>
    public string Kubectl(params IReadOnlyList<string> arguments) => kubectl.Run(["-n", Namespace, .. arguments]);

    /// <summary>kubectl get, in the checks' namespace.</summary>
    public JsonNode Get(params IReadOnlyList<string> arguments) => kubectl.Get(["-n", Namespace, .. arguments]);

    /// <summary>Runs a shell's command in a pod.</summary>
    public string Exec(string pod, string command) => Kubectl("exec", pod, "--", "sh", "-c", command);

    /// <summary>Starts pods and waits until they are ready.</summary>
    public Task StartAsync(params IReadOnlyList<PodOrder> pods)
    {
        Start(pods);
        return WaitUntilReadyAsync([.. pods.Select(p => p.Name)]);
    }

    /// <summary>Starts pods and waits for nothing.</summary>
    public void Start(params IReadOnlyList<PodOrder> pods)
    {
        _extraPods.AddRange(pods.Select(p => p.Name));
        kubectl.Apply(string.Concat(pods.Select(p => p.ToYaml(Namespace, settings.Image))));
    }

    /// <summary>Waits until pods are ready.</summary>
    public Task WaitUntilReadyAsync(IReadOnlyCollection<string> pods) => WaitAsync($"pods {string.Join(" ", pods)} are ready", () =>
        Get("pods")["items"]!.AsArray().Count(p => pods.Contains((string)p!["metadata"]!["name"]!) && IsTrue(p, "Ready")) == pods.Count);

    /// <summary>Waits until a pod has an address and runs, ready or not.</summary>
    public Task WaitUntilRunsAsync(string pod) => WaitAsync($"pod {pod} runs", () =>
        Get("pods", pod)["status"] is { } status && (string?)status["phase"] == "Running" && status["podIP"] is not null);

    /// <summary>Orders pods to end, with their grace, and does not wait.</summary>
    public void End(params IReadOnlyList<string> pods) => Kubectl(["delete", "pods", "--wait=false", .. pods]);

    /// <summary>Ends pods at once and waits until they have gone.</summary>
    public async Task KillAsync(params IReadOnlyList<string> pods)
    {
        Kubectl(["delete", "pods", "--force", "--grace-period=0", "--wait=false", .. pods]);
        await WaitAsync($"pods {string.Join(" ", pods)} are gone", () =>
            !Get("pods")["items"]!.AsArray().Any(p => pods.Contains((string)p!["metadata"]!["name"]!)));
    }

    /// <summary>A pod's own network, to ask from.</summary>
    public Origin OriginOf(string pod, string? name = null) => new(name ?? $"pod {pod}", PodNamespaces.Find(AddressOf(pod).ToString()), HasDns: true);

    /// <summary>A pod's address.</summary>
    public IPAddress AddressOf(string pod, AddressFamily family = AddressFamily.InterNetwork) => Get("pods", pod)["status"]!["podIPs"]!.AsArray()
        .Select(a => IPAddress.Parse((string)a!["ip"]!)).FirstOrDefault(a => a.AddressFamily == family)
            ?? throw new CheckFailedException($"pod {pod} has no address of the family {family}");

    /// <summary>Has outside send what is for these addresses to a node.</summary>
    public void RouteFromOutside(CheckedNode node, params IReadOnlyList<IPAddress> addresses) => outside.AddVia(node.Name, addresses);

    /// <summary>Waits until something of the cluster is so; a service proxy has no part in it.</summary>
    public Task WaitAsync(string what, Func<bool> holds) => Wait.UntilAsync(
        () => Task.FromResult(holds()), () => $"Still not so after {Patience.TotalSeconds} s: {what}", TimeSpan.FromMilliseconds(300), Patience, cancel);

    private static bool IsTrue(JsonNode pod, string condition) => pod["status"]?["conditions"]?.AsArray()
        .Any(c => (string?)c!["type"] == condition && (string?)c["status"] == "True") ?? false;

    private CheckedNode NodeAt(int index)
    {
        (string name, NetworkNamespace ns) = settings.Nodes.ElementAt(index);
        IPAddress[] addresses = [.. kubectl.Get("node", name)["status"]!["addresses"]!.AsArray()
            .Where(a => (string)a!["type"]! == "InternalIP").Select(a => IPAddress.Parse((string)a!["address"]!))];
        return new CheckedNode(name, addresses.First(a => a.AddressFamily == AddressFamily.InterNetwork),
            addresses.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetworkV6), new Origin($"node {name}", ns, HasDns: false));
    }
}
