using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>
/// etcd and kube-apiserver, and kube-controller-manager on request, from the folder that <c>KUBEBUILDER_ASSETS</c> names
/// (the convention of envtest). All in a temporary folder in memory; all end with this process, however it ends.
/// </summary>
public sealed class RealApiServer : IApiServerUnderTest
{
    /// <summary>The environment variable that names the folder of the programs.</summary>
    public const string AssetsVariable = "KUBEBUILDER_ASSETS";

    private const string ServiceRanges = "10.96.0.0/16,fd10:96::/112"; // the lab's
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _programs;
    private readonly string _folder;
    private readonly ServerCertificates _certificates = new();
    private readonly string _adminToken = RandomNumberGenerator.GetHexString(32);
    private readonly HashSet<string> _namespaces = ["default", "kube-system"];
    private BoundProcess? _etcd;
    private BoundProcess? _server;
    private BoundProcess? _controllers;
    private KubernetesApi? _admin;
    private JsonObject? _agentRole;

    private RealApiServer(string programs)
    {
        _programs = programs;
        _folder = MemoryFolder.Create("clusterlb-apiserver-");
    }

    /// <summary>The folder of the programs; null if nobody names one, and tests use the fake.</summary>
    public static string? Assets => Environment.GetEnvironmentVariable(AssetsVariable) is { Length: > 0 } folder ? folder : null;

    public string Version { get; private set; } = "";

    public bool IsReal => true;

    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.Loopback, 0);

    public string AuthorityPem => _certificates.AuthorityPem;

    public string AgentToken { get; private set; } = "";

    /// <summary>The administrator's way in, for what <see cref="IApiServerUnderTest"/> has no word for.</summary>
    public KubernetesApi Admin => _admin!;

    private string EtcdUrl { get; set; } = "";

    /// <summary>Process ids of all servers.</summary>
    public IEnumerable<int> Processes => new[] { _etcd, _server, _controllers }.OfType<BoundProcess>().Select(p => p.Id);

    /// <summary>Starts etcd and the API server and binds the agent's account to its rights.</summary>
    /// <param name="rbacManifest">The text of deploy/kubernetes/rbac.yaml.</param>
    /// <exception cref="InvalidOperationException">A program is missing or does not start; the message has the end of its log.</exception>
    public static async Task<RealApiServer> StartAsync(string rbacManifest)
    {
        string programs = Assets ?? throw new InvalidOperationException($"{AssetsVariable} is not set");
        RemoveLeftovers();
        var server = new RealApiServer(programs);
        try
        {
            await server.StartAllAsync(rbacManifest);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async Task<JsonObject> CreateAsync(JsonObject item)
    {
        string ns = Text(item, "metadata", "namespace");
        if (ns.Length > 0 && _namespaces.Add(ns))
        {
            await Admin.SendAsync(HttpMethod.Post, "/api/v1/namespaces", new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "Namespace",
                ["metadata"] = new JsonObject { ["name"] = ns },
            });
        }

        return await Admin.SendAsync(HttpMethod.Post, KubernetesApi.PathOf(Text(item, "apiVersion"), PluralOf(Text(item, "kind")), ns), item);
    }

    public Task<JsonObject> PatchAsync(string plural, string ns, string name, JsonObject patch, string subresource = "") =>
        Admin.SendAsync(
            HttpMethod.Patch, KubernetesApi.PathOf(GroupOf(plural), plural, ns, name, subresource), patch, "application/merge-patch+json");

    public async Task<IReadOnlyList<JsonObject>> EventsAsync(string ns)
    {
        JsonObject list = await Admin.SendAsync(HttpMethod.Get, $"/apis/events.k8s.io/v1/namespaces/{ns}/events");
        return [.. list["items"]!.AsArray().Select(item => item!.AsObject())];
    }

    public async Task DeleteAsync(string plural, string ns, string name)
    {
        try
        {
            await Admin.SendAsync(HttpMethod.Delete, KubernetesApi.PathOf(GroupOf(plural), plural, ns, name) + "?gracePeriodSeconds=0");
        }
        catch (KubernetesApiException e) when (e.Status == HttpStatusCode.NotFound)
        {
            // gone already
        }
    }

    public Task KillAsync() => _server!.KillAsync();

    public async Task StartAsync()
    {
        _server!.Dispose();
        _server = await StartServerAsync();
        await WaitUntilReadyAsync();
    }

    public async Task RestartCompactedAsync()
    {
        if (!_server!.HasExited)
        {
            await KillAsync();
        }

        // etcd's JSON gateway; keys and values are base64, numbers are text.
        using var http = new HttpClient { BaseAddress = new Uri(EtcdUrl) };
        JsonNode answer = await PostAsync("/v3/kv/range", """{"key":"AA==","limit":1}""");
        string revision = (string)answer["header"]!["revision"]!;
        await PostAsync("/v3/kv/compaction", $$"""{"revision":"{{revision}}","physical":true}""");
        await StartAsync();

        async Task<JsonNode> PostAsync(string path, string body)
        {
            using var content = new StringContent(body);
            using HttpResponseMessage response = await http.PostAsync(path, content);
            string text = await response.Content.ReadAsStringAsync();
            return response.IsSuccessStatusCode ? JsonNode.Parse(text)! : throw new InvalidOperationException($"etcd {path}: {text}");
        }
    }

    public async Task ForbidAgentAsync(string? plural)
    {
        JsonObject role = _agentRole ?? throw new InvalidOperationException("the manifest of rights has no ClusterRole");
        string path = KubernetesApi.PathOf("rbac.authorization.k8s.io/v1", "clusterroles", "", Text(role, "metadata", "name"));
        var rules = role["rules"]!.DeepClone().AsArray();
        foreach (JsonNode? rule in rules)
        {
            JsonArray resources = rule!["resources"]!.AsArray();
            if (resources.FirstOrDefault(r => (string)r! == plural) is { } found)
            {
                resources.Remove(found);
            }
        }

        var kept = new JsonArray([.. rules.Where(r => r!["resources"]!.AsArray().Count > 0).Select(r => r!.DeepClone())]);
        await Admin.SendAsync(HttpMethod.Patch, path, new JsonObject { ["rules"] = kept }, "application/merge-patch+json");
    }

    /// <summary>Starts the controllers that make EndpointSlices of Services and Pods.</summary>
    public async Task StartControllersAsync()
    {
        string kubeconfig = Path.Combine(_folder, "admin.kubeconfig");
        await File.WriteAllTextAsync(kubeconfig, Kubeconfig.Text(new Uri($"https://{EndPoint}"), AuthorityPem, _adminToken));
        _controllers = await BoundProcess.StartAsync(
            Log("kube-controller-manager"), Program("kube-controller-manager"),
            "--kubeconfig", kubeconfig, "--leader-elect=false", "--secure-port", "0",
            "--controllers", "endpointslice-controller,endpointslice-mirroring-controller,service-cidr-controller,namespace-controller");
    }

    public ValueTask DisposeAsync()
    {
        _admin?.Dispose();
        foreach (BoundProcess process in new[] { _controllers, _server, _etcd }.OfType<BoundProcess>())
        {
            process.Dispose();
        }

        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>The word for a kind in a path.</summary>
    public static string PluralOf(string kind) => kind switch
    {
        "EndpointSlice" => "endpointslices",
        "ServiceCIDR" => "servicecidrs",
        _ => kind.ToLowerInvariant() + "s",
    };

    internal static string GroupOf(string plural) => plural switch
    {
        "endpointslices" => "discovery.k8s.io/v1",
        "servicecidrs" => "networking.k8s.io/v1",
        "clusterroles" or "clusterrolebindings" => "rbac.authorization.k8s.io/v1",
        _ => "v1",
    };

    private async Task StartAllAsync(string rbacManifest)
    {
        using (RSA key = RSA.Create(2048))
        {
            await File.WriteAllTextAsync(FileOf("sa.key"), key.ExportPkcs8PrivateKeyPem());
        }

        await File.WriteAllTextAsync(FileOf("owner"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        await File.WriteAllTextAsync(FileOf("tokens.csv"), $"{_adminToken},admin,admin,system:masters\n");
        await File.WriteAllTextAsync(FileOf("server.crt"), _certificates.ServerPem);
        await File.WriteAllTextAsync(FileOf("server.key"), _certificates.ServerKeyPem);

        // A port that was free may be taken by the time it is used: then the program ends at once, and others are tried.
        for (int attempt = 1; ; attempt++)
        {
            int etcdPort = FreePort();
            EtcdUrl = $"http://127.0.0.1:{etcdPort}";
            _etcd = await BoundProcess.StartAsync(
                Log("etcd"), Program("etcd"), "--data-dir", FileOf("etcd"), "--unsafe-no-fsync",
                "--listen-client-urls", EtcdUrl, "--advertise-client-urls", EtcdUrl, "--listen-peer-urls", "http://127.0.0.1:0");
            EndPoint = new IPEndPoint(IPAddress.Loopback, FreePort());
            _server = await StartServerAsync();
            _admin = new KubernetesApi(new Uri($"https://{EndPoint}"), _adminToken, AuthorityPem);
            try
            {
                await WaitUntilReadyAsync();
                break;
            }
            catch (InvalidOperationException) when (attempt < 3)
            {
                _admin.Dispose();
                _server.Dispose();
                _etcd.Dispose();
            }
        }

        JsonObject version = await Admin.SendAsync(HttpMethod.Get, "/version");
        Version = $"kube-apiserver {Text(version, "gitVersion")}";
        await ApplyRightsAsync(rbacManifest);
    }

    private Task<BoundProcess> StartServerAsync() => BoundProcess.StartAsync(
        Log("kube-apiserver"), Program("kube-apiserver"),
        "--etcd-servers", EtcdUrl, "--bind-address", "127.0.0.1", "--secure-port", EndPoint.Port.ToString(CultureInfo.InvariantCulture),
        "--advertise-address", "10.0.0.1", // any that is not loopback: endpoints of the service `kubernetes`
        "--tls-cert-file", FileOf("server.crt"), "--tls-private-key-file", FileOf("server.key"), "--cert-dir", FileOf("certificates"),
        "--service-cluster-ip-range", ServiceRanges, "--authorization-mode", "RBAC", "--allow-privileged", "--token-auth-file", FileOf("tokens.csv"),
        "--disable-admission-plugins", "ServiceAccount", // pods need no account
        "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", FileOf("sa.key"), "--service-account-signing-key-file", FileOf("sa.key"));

    private async Task WaitUntilReadyAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!await Admin.AnswersAsync("/readyz"))
        {
            foreach (BoundProcess process in new[] { _etcd!, _server! })
            {
                if (process.HasExited || patience.IsCancellationRequested)
                {
                    throw new InvalidOperationException(
                        $"{Path.GetFileNameWithoutExtension(process.LogFile)} {(process.HasExited ? "ended" : "is not ready")}. The end of its log:\n{process.LogTail(20)}");
                }
            }

            await Task.Delay(50);
        }
    }

    private async Task ApplyRightsAsync(string rbacManifest)
    {
        JsonObject? account = null;
        foreach (JsonObject item in ManifestFile.Parse(rbacManifest))
        {
            account = Text(item, "kind") == "ServiceAccount" ? item : account;
            _agentRole = Text(item, "kind") == "ClusterRole" ? item : _agentRole;
            await CreateWhenNamespaceIsThereAsync(item);
        }

        if (account is null)
        {
            return; // a server for tests that act as administrator only
        }

        string ns = Text(account, "metadata", "namespace");
        string path = KubernetesApi.PathOf("v1", "serviceaccounts", ns, Text(account, "metadata", "name"), "token");
        JsonObject answer = await Admin.SendAsync(HttpMethod.Post, path, new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject { ["expirationSeconds"] = 7200 },
        });
        AgentToken = Text(answer, "status", "token");
    }

    // The server makes kube-system itself, a moment after it is ready.
    private async Task CreateWhenNamespaceIsThereAsync(JsonObject item)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            try
            {
                await CreateAsync(item);
                return;
            }
            catch (KubernetesApiException e) when (e.Status == HttpStatusCode.NotFound && !patience.IsCancellationRequested)
            {
                await Task.Delay(50);
            }
        }
    }

    private string Program(string name)
    {
        string path = Path.Combine(_programs, name);
        return File.Exists(path) ? path : throw new InvalidOperationException($"{AssetsVariable} is {_programs}, but there is no {name} in it");
    }

    private string FileOf(string name) => Path.Combine(_folder, name);

    private string Log(string program) => FileOf(program + ".log");

    private static string Text(JsonNode item, params IReadOnlyList<string> path) =>
        (string?)path.Aggregate((JsonNode?)item, (node, name) => node?[name]) ?? "";

    // The processes of a killed test run end by themselves; its folder in memory is removed by the next.
    private static void RemoveLeftovers()
    {
        foreach (string folder in Directory.EnumerateDirectories(MemoryFolder.Root, "clusterlb-apiserver-*"))
        {
            string owner = Path.Combine(folder, "owner");
            if (File.Exists(owner) && !Directory.Exists($"/proc/{File.ReadAllText(owner).Trim()}"))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
