using System.Net;
using System.Text.Json.Nodes;
using ClusterLb.Lab.Stage;

namespace ClusterLb.ClusterRun;

/// <summary>A Deployment of web servers and its Service, in a namespace of its own.</summary>
internal sealed class ServiceUnderTest(Kubectl kubectl, ClusterSettings settings, CancellationToken cancel)
{
    public const int Port = 80;
    private const string Namespace = "clusterlb-run";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>Its IPv4 cluster IP.</summary>
    public IPAddress Address { get; private set; } = IPAddress.None;

    /// <summary>Its IPv6 cluster IP; null in a cluster without.</summary>
    public IPAddress? Address6 { get; private set; }

    public string DnsName => $"web.{Namespace}.svc.cluster.local";

    /// <summary>The cluster's DNS service.</summary>
    public IPEndPoint Dns { get; private set; } = new(IPAddress.None, 53);

    /// <summary>Creates all of it with one replica, and client pods on every node; returns these.</summary>
    public async Task<IReadOnlyList<Origin>> CreateAsync()
    {
        kubectl.Apply($"{{apiVersion: v1, kind: Namespace, metadata: {{name: {Namespace} }} }}");
        kubectl.Apply(
            $$"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web, namespace: {{Namespace}} }
            spec:
              replicas: 1
              selector: {matchLabels: {app: web} }
              template:
                metadata: {labels: {app: web} }
                spec:
                  terminationGracePeriodSeconds: 15
                  containers:
                    - name: web
                      image: {{settings.Image}}
                      imagePullPolicy: IfNotPresent
                      # Serves on for a while after it is told to end: long enough for every proxy to hear of it.
                      command: [/agnhost, netexec, --http-port=8080, --udp-port=8081, --delay-shutdown=8]
                      # Patient: on a machine that is short of processors a pod must not come and go by itself.
                      readinessProbe: {httpGet: {path: /hostname, port: 8080}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 6}
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: web, namespace: {{Namespace}} }
            spec:
              ipFamilyPolicy: PreferDualStack
              selector: {app: web}
              ports:
                - {name: http, port: {{Port}}, targetPort: 8080}
                - {name: datagram, port: {{Port}}, protocol: UDP, targetPort: 8081}
            ---
            apiVersion: apps/v1
            kind: DaemonSet
            metadata: {name: client, namespace: {{Namespace}} }
            spec:
              selector: {matchLabels: {app: client} }
              template:
                metadata: {labels: {app: client} }
                spec:
                  terminationGracePeriodSeconds: 1
                  containers: [{name: client, image: "{{settings.Image}}", imagePullPolicy: IfNotPresent, command: [/agnhost, netexec, --http-port=8080]}]
            """);
        await WaitAsync("one replica is ready", () => ReadyReplicas() == 1);
        await WaitAsync("client pods run on all nodes", () => Clients().Count == settings.Nodes.Count);
        JsonArray addresses = kubectl.Get("service", "web", "-n", Namespace)["spec"]!["clusterIPs"]!.AsArray();
        Address = IPAddress.Parse((string)addresses[0]!);
        Address6 = addresses.Count > 1 ? IPAddress.Parse((string)addresses[1]!) : null;
        Dns = new IPEndPoint(IPAddress.Parse((string)kubectl.Get("service", "kube-dns", "-n", "kube-system")["spec"]!["clusterIP"]!), 53);
        return Clients();
    }

    /// <summary>Removes all of it.</summary>
    public void Delete() => kubectl.Run("delete", "namespace", Namespace, "--ignore-not-found", "--wait=false");

    /// <summary>Orders another number of replicas, and does not wait.</summary>
    public void Scale(int replicas) => kubectl.Run("scale", "deployment", "web", "-n", Namespace, $"--replicas={replicas}");

    /// <summary>Scales, and waits until that many are ready and no other is left.</summary>
    public async Task ScaleAsync(int replicas)
    {
        Scale(replicas);
        await WaitAsync($"{replicas} replicas are ready, and no pod more", () => ReadyReplicas() == replicas && PodNames().Count == replicas);
    }

    /// <summary>Replaces all pods, by Kubernetes' own rolling update.</summary>
    public async Task RolloutAsync(int replicas)
    {
        IReadOnlyList<string> old = PodNames();
        kubectl.Run("rollout", "restart", "deployment", "web", "-n", Namespace);
        await WaitAsync("all pods are new", () => ReadyReplicas() == replicas && PodNames() is var now && now.Count == replicas && !now.Intersect(old, StringComparer.Ordinal).Any());
    }

    /// <summary>Kills pods without any grace, and waits until others have replaced them.</summary>
    public async Task KillAsync(int pods, int replicas)
    {
        string[] victims = [.. PodNames().Take(pods)];
        kubectl.Run(["delete", "pod", "-n", Namespace, "--force", "--grace-period=0", "--wait=false", .. victims]);
        await WaitAsync("killed pods are replaced", () => ReadyReplicas() == replicas && !PodNames().Intersect(victims, StringComparer.Ordinal).Any());
    }

    /// <summary>Names of the pods that are not about to end.</summary>
    public IReadOnlyList<string> ServingPods() => [.. Pods("web").Where(p => p["metadata"]!["deletionTimestamp"] is null).Select(p => (string)p["metadata"]!["name"]!)];

    private int ReadyReplicas() => (int?)kubectl.Get("deployment", "web", "-n", Namespace)["status"]?["readyReplicas"] ?? 0;

    private IReadOnlyList<string> PodNames() => [.. Pods("web").Select(p => (string)p["metadata"]!["name"]!)];

    private IEnumerable<JsonNode> Pods(string app) => kubectl.Get("pods", "-n", Namespace, "-l", $"app={app}")["items"]!.AsArray().OfType<JsonNode>();

    private IReadOnlyList<Origin> Clients() => [.. Pods("client")
        .Where(p => (string?)p["status"]?["phase"] == "Running" && p["status"]?["podIP"] is not null)
        .Select(p => new Origin($"pod on {p["spec"]!["nodeName"]}", PodNamespaces.Find((string)p["status"]!["podIP"]!), HasDns: true))
        .OrderBy(o => o.Name, StringComparer.Ordinal)];

    private Task WaitAsync(string what, Func<bool> holds) => Wait.UntilAsync(
        () => Task.FromResult(holds()), () => $"Still not so after {Patience.TotalSeconds} s: {what}", TimeSpan.FromMilliseconds(500), Patience, cancel);
}
