using System.Collections.Immutable;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

/// <summary>The network that is steered: reads the node's, tells the control plane of it, and says what the kernel has to have.</summary>
/// <remarks>On the thread of <see cref="SteeringLoop"/>, where a member does not say that any may call it.</remarks>
internal sealed class SteeredNetwork
{
    private const int DefaultMtu = 1500;

    private readonly AgentOptions _options;
    private readonly ClusterStateStore _store;
    private readonly ILogger _log;
    private readonly ClusterNetwork _clusterNetwork;
    private readonly Lock _versionLock = new();
    private readonly bool _kernelHasIpv6 = Sysctls.KernelHasIpv6;
    private NodeNetwork? _network;
    private LocalNode? _node;
    private ImmutableArray<IpPrefix> _serviceCidrs = [];
    private (bool Ipv4, bool Ipv6) _bridgeNetfilter; // as it was when the bridges were found
    private bool? _canTakeUp; // the kernel's answer does not change
    private SnatPortRanges _sourcePorts; // those that masqueraded connections get
    private NetworkInputs? _inputs;
    private long _version; // of the inputs that the store has
    private long _versionInMaps;
    private bool _awaitsMaps; // a step found that the maps lag behind
    private volatile ImmutableHashSet<FrontendKey> _external = []; // those of the maps

    /// <summary>A network that nobody has read yet.</summary>
    public SteeredNetwork(AgentOptions options, ClusterStateStore store, ILogger log)
    {
        _options = options;
        _store = store;
        _log = log;
        _sourcePorts = options.Conntrack.SnatPorts;
        _clusterNetwork = new ClusterNetwork(options, store);
    }

    /// <summary>IPv4 and IPv6, as far as this node has them. Any thread.</summary>
    public ImmutableArray<string> Families { get; private set; } = [];

    /// <summary>Bridges of pods, and what is done about each.</summary>
    public ImmutableArray<PodBridge> Bridges { get; private set; } = [];

    /// <summary>Who says where service addresses come from. Any thread.</summary>
    public ServiceRangeOrigin RangeOrigin => _clusterNetwork.RangeOrigin;

    /// <summary>Somebody has switched br_netfilter since the bridges were found; that sends no event.</summary>
    public bool IsBridgeNetfilterSwitched => !Bridges.IsEmpty && PodBridge.Netfilter() != _bridgeNetfilter;

    /// <summary>Somebody has changed which ports the kernel hands out, and so which ones are left to masqueraded connections; that sends no event.</summary>
    /// <exception cref="SteeringException">The kernel's settings cannot be read.</exception>
    public bool AreSourcePortsOthers => SourcePorts.Of(_options.Conntrack.SnatPorts) != _sourcePorts;

    /// <summary>The Node object or the service ranges are others than the control plane was told last. Any thread.</summary>
    public bool IsStoreAhead => !Equals(_store.Node, _node) || _store.ServiceCidrs != _serviceCidrs;

    /// <summary>Asks the kernel for its interfaces, addresses and, where local pods are told by interface, routes.</summary>
    /// <returns>True if something that matters is not as it was.</returns>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public bool Read()
    {
        NodeNetwork? before = _network;
        _network = NodeNetwork.Read(withRoutes: _options.DetectsByInterface);
        return before is null || !_network.HasSame(_options.Tun.Name, before);
    }

    /// <summary>Tells the control plane what was read last, together with the Node object, if that is anything new.</summary>
    /// <exception cref="SteeringException">The kernel's settings cannot be read.</exception>
    public void TellControlPlane()
    {
        _node = _store.Node;
        _serviceCidrs = _store.ServiceCidrs;
        NetworkInputs inputs = _clusterNetwork.Inputs(Network.NodeAddresses(_options.Tun.Name), Network.Behind(_options.IsLocalInterface));
        FindBridges(inputs);
        FindSourcePorts();
        inputs = inputs with
        {
            BridgedRanges = [.. Bridges.Where(bridge => bridge.Fix == BridgeFix.Masquerade).Select(bridge => bridge.Subnet)],
            Timeouts = inputs.Timeouts with { SnatPorts = _sourcePorts },
        };
        if (_inputs is not null && Same(_inputs, inputs))
        {
            return;
        }

        _inputs = inputs;
        Families = [.. inputs.NodeAddresses.Select(a => a.IsIpv4 ? "IPv4" : "IPv6").Distinct().Order(StringComparer.Ordinal)];
        _log.LogInformation(
            "Network of the node {Addresses} {ServiceRanges}", inputs.NodeAddresses, inputs.ServiceRanges);
        lock (_versionLock)
        {
            _version = _store.SetNetwork(inputs);
        }
    }

    /// <summary>A sync ended. Any thread.</summary>
    /// <returns>True if steering has to look at it: it waited for these maps, or there are other external frontends.</returns>
    public bool OnSynced(ReconcileStatus status)
    {
        bool awaited;
        lock (_versionLock)
        {
            if (status.IsSynced && status.LastError is null)
            {
                _versionInMaps = status.NetworkVersion;
            }

            awaited = _awaitsMaps && _versionInMaps == _version;
        }

        if (status.IsSynced && _external != status.ExternalFrontends)
        {
            _external = status.ExternalFrontends;
            awaited = true;
        }

        return awaited;
    }

    /// <summary>True if the maps have what the control plane was told. If not, <see cref="OnSynced"/> says when.</summary>
    public bool IsInMaps()
    {
        lock (_versionLock)
        {
            _awaitsMaps = _versionInMaps != _version;
            return !_awaitsMaps;
        }
    }

    /// <summary>What has to be in the kernel, by what the control plane was told last.</summary>
    /// <param name="applied">What was before: a family whose last address went is kept, without a source, so that what is forwarded goes on.</param>
    public SteeringInputs Inputs(SteeringInputs? applied)
    {
        NetworkInputs inputs = _inputs!;
        NodeImage image = NodeImage.Compile(inputs, _node);
        IpAddr? ipv4 = Source(ipv4: true);
        IpAddr? ipv6 = Source(ipv4: false);
        int uplink = new[] { ipv4, ipv6 }.OfType<IpAddr>().Select(Network.MtuOf).Where(mtu => mtu > 0).DefaultIfEmpty(DefaultMtu).Min();
        return new SteeringInputs
        {
            Device = _options.Tun.Name,
            Options = _options.Steering,
            Mtu = _options.Steering.Mtu > 0 ? _options.Steering.Mtu : uplink,
            KernelHasIpv6 = _kernelHasIpv6,
            Conntrack = _options.KernelConntrack,
            SnatPorts = _options.Conntrack.SnatPorts,
            LoopbackNodePorts = image.Node.Flags.HasFlag(NodeFlags.LocalhostNodePorts),
            BridgeNft = BridgeRuleset.Render(Bridges, _options.Steering),
            Ipv4 = Family(isIpv6: false, ipv4, applied?.Ipv4),
            Ipv6 = _kernelHasIpv6 ? Family(isIpv6: true, ipv6, applied?.Ipv6) : null,
        };

        SteeringFamily? Family(bool isIpv6, IpAddr? source, SteeringFamily? before) => source is null && before is null ? null :
            ExternalSteering.AddTo(
                new SteeringFamily
                {
                    IsIpv6 = isIpv6,
                    Source = source,
                    Destinations = [.. inputs.ServiceRanges.Where(range => range.Address.IsIpv4 != isIpv6)],
                },
                _external, image, inputs.RestrictsNodePorts(!isIpv6));

        // The same choice as the control plane's masquerade address: the Node object's if the node has it, else the first.
        IpAddr? Source(bool ipv4)
        {
            IEnumerable<IpAddr> own = inputs.NodeAddresses.Where(a => a.IsIpv4 == ipv4);
            IEnumerable<IpAddr> named = _node?.Addresses ?? [];
            return named.Where(own.Contains).Concat(own).Select(a => (IpAddr?)a).FirstOrDefault();
        }
    }

    private NodeNetwork Network => _network ?? throw new InvalidOperationException("Read comes first.");

    private void FindBridges(NetworkInputs inputs)
    {
        _bridgeNetfilter = PodBridge.Netfilter();
        ImmutableArray<PodBridge> found = PodBridge.Find(
            Network, [.. inputs.PodRanges, .. _node?.PodRanges ?? []], _options.Steering.BridgedPods, () => _canTakeUp ??= NodeSteering.CanTakeUpFromBridges());
        if (!found.SequenceEqual(Bridges))
        {
            Bridges = found;
            _log.LogInformation("Bridges of pods {Bridges}", found.Select(bridge => $"{bridge.Name} {bridge.Subnet}: {bridge.Fix}").ToArray());
        }
    }

    private void FindSourcePorts()
    {
        SnatPortRanges configured = _options.Conntrack.SnatPorts;
        SnatPortRanges found = SourcePorts.Of(configured);
        if (found == _sourcePorts)
        {
            return;
        }

        _sourcePorts = found;
        if (found == configured)
        {
            _log.LogInformation("Masqueraded connections get all source ports that are configured {SourcePorts}", $"{found}");
        }
        else
        {
            _log.LogWarning(
                "Masqueraded connections get fewer source ports than are configured: the kernel gives the others to this node's own connections "
                + "{SourcePorts} {Configured} {LocalPortRange}", $"{found}", $"{configured}", $"{Sysctls.LocalPortRange()}");
        }
    }

    // All else comes from the configuration, which does not change.
    private static bool Same(NetworkInputs a, NetworkInputs b) =>
        a.NodeAddresses.SequenceEqual(b.NodeAddresses) && a.ServiceRanges.SequenceEqual(b.ServiceRanges) && a.PodRanges.SequenceEqual(b.PodRanges)
        && a.BridgedRanges.SequenceEqual(b.BridgedRanges) && a.Timeouts.SnatPorts == b.Timeouts.SnatPorts;
}
