using System.Collections.Immutable;
using System.Net;
using ClusterLb.Agent.Configuration;
using ClusterLb.Agent.Steering;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using ClusterLb.Dataplane.Tun;

namespace ClusterLb.Agent;

/// <summary>Everything that can be turned, with its default. Read by <see cref="AgentOptionsReader"/>.</summary>
/// <remarks>kube-proxy's own fields keep kube-proxy's defaults; ours mirror the ClusterLbConfiguration document name for name.</remarks>
public sealed record AgentOptions
{
    /// <summary>Where the lease, the sockets, the maps and the flow tables live. Best on tmpfs.</summary>
    public string StateDirectory { get; init; } = DefaultStateDirectory;

    /// <summary>The state directory if nobody says another.</summary>
    public const string DefaultStateDirectory = "/run/clusterlb";

    /// <summary>Directory of Kubernetes manifests to serve, followed as it changes. Null: none.</summary>
    public string? ManifestDirectory { get; init; }

    /// <summary>File that says how to reach the API server (clientConnection.kubeconfig). Null: the service account, if this is a pod.</summary>
    public string? KubeconfigFile { get; init; }

    /// <summary>
    /// Addresses of API servers, tried in order, in place of the one that kubeconfig or environment name: numbers need no DNS, and
    /// the address that pods get in their environment is a service, which nobody serves before this agent does.
    /// </summary>
    public IReadOnlyList<Uri> ApiServers { get; init; } = [];

    /// <summary>Name of this node's Node object (hostnameOverride). Default: the host name in lower case, as kubelet has it.</summary>
#pragma warning disable CA1308 // Kubernetes names are lower case; this is no comparison.
    public string NodeName { get; init; } = Environment.MachineName.ToLowerInvariant();
#pragma warning restore CA1308

    /// <summary>The address of this node that connections are masqueraded with (bindAddress). Null: the Node object's.</summary>
    public IpAddr? PrimaryAddress { get; init; }

    /// <summary>Where /healthz and /livez answer; 0.0.0.0 is both families. Null: nowhere.</summary>
    public IPEndPoint? HealthzBindAddress { get; init; } = new(IPAddress.Any, 10256);

    /// <summary>Where /metrics answers. Null: nowhere.</summary>
    public IPEndPoint? MetricsBindAddress { get; init; } = new(IPAddress.Loopback, 10249);

    /// <summary>A port that cannot be bound ends the agent; otherwise it is tried again.</summary>
    public bool BindAddressHardFail { get; init; }

    /// <summary>Level of detail of the log: 0 state, 2 life cycle, 4 every sync, 5 every object.</summary>
    public int Verbosity { get; init; }

    /// <summary>What a line of the log looks like.</summary>
    public LogFormat LogFormat { get; init; }

    /// <summary>What was said by flags and environment, for /flagz.</summary>
    public IReadOnlyDictionary<string, string> Flags { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>/debug/* answers beside /metrics.</summary>
    public bool EnableProfiling { get; init; }

    /// <summary>How unlikely the kernel ends agent and dataplane when memory is short: −1000 (never) to 1000.</summary>
    public int OomScoreAdj { get; init; } = -999;

    /// <summary>How often everything is compared and repaired, even when nothing changed.</summary>
    public TimeSpan SyncPeriod { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>However long a comparison takes, it is made so often (<see cref="SyncPeriod"/> yields to it where a comparison is slow).</summary>
    public TimeSpan ConfigSyncPeriod { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Shortest time between two syncs; the first change after a quiet time is applied at once.</summary>
    public TimeSpan MinSyncPeriod { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Masquerade all ClusterIP traffic.</summary>
    public bool MasqueradeAll { get; init; }

    /// <summary>How a packet's source is known to be a pod's.</summary>
    public DetectLocalMode DetectLocalMode { get; init; } = DetectLocalMode.ClusterCidr;

    /// <summary>The bridge, or how the names of pods' interfaces begin, if the mode asks for it (detectLocal.*).</summary>
    public string LocalInterface { get; init; } = "";

    /// <summary>Pods are known by the interface that leads to them.</summary>
    public bool DetectsByInterface => DetectLocalMode is DetectLocalMode.BridgeInterface or DetectLocalMode.InterfaceNamePrefix;

    /// <summary>True for an interface that leads to pods, if they are known by it.</summary>
    /// <param name="name">Of the interface.</param>
    public bool IsLocalInterface(string name) => DetectLocalMode == DetectLocalMode.BridgeInterface
        ? name == LocalInterface
        : DetectLocalMode == DetectLocalMode.InterfaceNamePrefix && name.StartsWith(LocalInterface, StringComparison.Ordinal);

    /// <summary>Where pods live, on all nodes (clusterCIDR).</summary>
    public IReadOnlyList<IpPrefix> ClusterCidrs { get; init; } = [];

    /// <summary>Where service addresses come from. Empty: guessed from the cluster IPs that are seen, and the status says so.</summary>
    public IReadOnlyList<IpPrefix> ServiceCidrs { get; init; } = [];

    /// <summary>Node addresses on which node ports answer. Empty: all.</summary>
    public IReadOnlyList<IpPrefix> NodePortAddresses { get; init; } = [];

    /// <summary>Node ports answer on the node's primary addresses only (<c>nodePortAddresses: [primary]</c>).</summary>
    public bool NodePortsOnPrimaryOnly { get; init; }

    /// <summary>Node ports answer on 127.0.0.1 too.</summary>
    public bool LocalhostNodePorts { get; init; } = true;

    /// <summary>spec.externalIPs are served, as kube-proxy does. Anyone who may write Services may take any address by them (CVE-2020-8554).</summary>
    public bool ServesExternalIps { get; init; } = true;

    /// <summary>The TUN device.</summary>
    public TunOptions Tun { get; init; } = new();

    /// <summary>How packets are routed into it.</summary>
    public SteeringOptions Steering { get; init; } = new();

    /// <summary>How backends are chosen where a service does not say.</summary>
    public SelectionOptions Selection { get; init; } = new();

    /// <summary>Sizes of the load-balancing maps.</summary>
    public LbMapCapacities Maps { get; init; } = new();

    /// <summary>Sizes and timeouts of the flow tables.</summary>
    public ConntrackOptions Conntrack { get; init; } = new();

    /// <summary>Settings of the kernel's own flow table.</summary>
    public KernelConntrackOptions KernelConntrack { get; init; } = new();

    /// <summary>The dataplane process.</summary>
    public DataplaneOptions Dataplane { get; init; } = new();

    /// <summary>Group that may open the admin socket and read the maps. Null: root's.</summary>
    public string? AdminGroup { get; init; }

    /// <summary>Every problem, so that one restart is enough to fix a bad file.</summary>
    public IEnumerable<string> Problems()
    {
        if (!Path.IsPathRooted(StateDirectory))
        {
            yield return $"The state directory is '{StateDirectory}', but must be an absolute path.";
        }
        else if (StateDirectory.Length > MaxStateDirectoryLength)
        {
            yield return $"The state directory '{StateDirectory}' is {StateDirectory.Length} characters long; at most " +
                $"{MaxStateDirectoryLength} leave room for its sockets (sun_path has 108 bytes).";
        }

        if (NodeName.Length == 0)
        {
            yield return "hostnameOverride is empty, but the node must have a name.";
        }

        if (ManifestDirectory is not null && KubeconfigFile is not null)
        {
            yield return $"Objects come from one place, but both are given: manifests in '{ManifestDirectory}' and the kubeconfig '{KubeconfigFile}'.";
        }

        if (MinSyncPeriod < TimeSpan.Zero || SyncPeriod <= TimeSpan.Zero || MinSyncPeriod > SyncPeriod)
        {
            yield return $"syncPeriod is {SyncPeriod.TotalSeconds} s and minSyncPeriod {MinSyncPeriod.TotalSeconds} s, but " +
                "syncPeriod must be positive and minSyncPeriod from 0 to syncPeriod.";
        }

        foreach (string problem in Tun.Problems().Concat(Steering.Problems()).Concat(Maps.Problems()).Concat(Conntrack.Problems()))
        {
            yield return problem;
        }
    }

    // "/dataplane.sock.new" and its zero byte must fit behind it.
    private const int MaxStateDirectoryLength = 108 - 20;
}
