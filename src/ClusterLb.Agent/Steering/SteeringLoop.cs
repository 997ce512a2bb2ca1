using System.Collections.Immutable;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Metrics;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

/// <summary>Follows the node's network: tells the control plane, and keeps the kernel steering. When, and what if it fails.</summary>
/// <remarks>
/// Maps before steering: a range is routed to the device only after a sync that wrote it into the maps, so nothing is steered
/// that the dataplane does not know. Services that come and go wake nobody here unless they have node ports,
/// load balancer or external addresses; no backend change runs a process.
/// </remarks>
internal sealed partial class SteeringLoop : IDisposable
{
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(100); // one change of the network is several events
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookPeriod = TimeSpan.FromSeconds(1); // at settings, of which most tell nobody when they change
    private const int DefaultMtu = 1500;

    private readonly AgentOptions _options;
    private readonly ClusterStateStore _store;
    private readonly NodeSteering _steering;
    private readonly AgentMetrics _metrics;
    private readonly ILogger _log;
    private readonly ClusterNetwork _clusterNetwork;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _versionLock = new();
    private readonly bool _kernelHasIpv6 = Sysctls.KernelHasIpv6;
    private NodeNetwork? _network;
    private LocalNode? _node;
    private ImmutableArray<IpPrefix> _serviceCidrs = [];
    private ImmutableArray<PodBridge> _bridges = [];
    private (bool Ipv4, bool Ipv6) _bridgeNetfilter; // as it was when they were found
    private bool? _canTakeUp; // the kernel's answer does not change
    private NetworkInputs? _inputs;
    private SteeringInputs? _applied;
    private long _version; // of the inputs that the store has
    private long _versionInMaps;
    private bool _awaitsMaps; // a step found that the maps lag behind
    private readonly TaskCompletionSource _installed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RepairPace _pace = new(); // of the loop
    private long _verifiedMs;
    private volatile bool _verify = true;
    private volatile bool _lost; // something that traffic needs now
    private volatile bool _nftTouched;
    private volatile bool _readNetwork;
    private volatile string _contested = "";
    private volatile ImmutableHashSet<FrontendKey> _external = []; // those of the maps
    private volatile SteeringStatus _status;

    /// <summary>A loop that has done nothing yet; the device is claimed already.</summary>
    public SteeringLoop(AgentOptions options, ClusterStateStore store, NodeSteering steering, AgentMetrics metrics, ILogger log)
    {
        _options = options;
        _store = store;
        _clusterNetwork = new ClusterNetwork(options, store);
        _steering = steering;
        _metrics = metrics;
        _log = log;
        _status = new SteeringStatus { Installed = false, Device = options.Tun.Name };
    }

    /// <summary>Somebody keeps taking away what is put back; the argument says it in a sentence. On the loop's thread.</summary>
    public event Action<string>? Contested;

    /// <summary>Ends when steering is installed for the first time.</summary>
    public Task Installed => _installed.Task;

    /// <summary>What is installed. Any thread.</summary>
    public SteeringStatus Status => _status with { Repairs = _pace.Count, Contested = _contested };

    /// <summary>IPv4 and IPv6, as far as this node has them. Any thread.</summary>
    public ImmutableArray<string> Families { get; private set; } = [];

    /// <summary>Asks the kernel for its interfaces and tells the control plane. Once before <see cref="RunAsync"/>, so that the first sync has it.</summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    public void ReadNetwork()
    {
        _network = NodeNetwork.Read(withRoutes: _options.DetectsByInterface);
        TellControlPlane();
    }

    /// <summary>Compare everything with the kernel soon: something happened that may have changed it. Any thread.</summary>
    public void Verify()
    {
        _verify = true;
        Wake();
    }

    /// <summary>Something of ours went: as <see cref="Verify"/>, without waiting for what else may happen. Any thread.</summary>
    public void OnLost()
    {
        _lost = true;
        Verify();
    }

    /// <summary>The nft table changed, perhaps by us. Any thread.</summary>
    public void OnNftTouched()
    {
        _nftTouched = true;
        Wake();
    }

    /// <summary>An interface or address changed. Pods come and go, so this only reads; what it means is seen then. Any thread.</summary>
    public void OnNetworkChanged()
    {
        _readNetwork = true;
        Wake();
    }

    /// <summary>The control plane's node object or services changed. Any thread.</summary>
    public void OnStoreChanged()
    {
        if (!Equals(_store.Node, _node) || _store.ServiceCidrs != _serviceCidrs)
        {
            Wake();
        }
    }

    /// <summary>A sync ended. On the reconcile loop's thread.</summary>
    public void OnSynced(ReconcileStatus status)
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

        if (awaited || _applied is null || _clusterNetwork.RangeOrigin == ServiceRangeOrigin.Guessed)
        {
            Wake();
        }
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                bool woken = await _wake.WaitAsync(LookPeriod, cancellation);
                if (!woken && !IsDue())
                {
                    continue;
                }

                RestoreNft();
                if (!_lost)
                {
                    await Task.Delay(Settle, cancellation);
                }

                _lost = false;
                if (!TryStep())
                {
                    await Task.Delay(RetryDelay, cancellation);
                    Verify();
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _wake.Dispose();

    private bool TryStep()
    {
        try
        {
            Step();
            return true;
        }
        catch (Exception e) when (e is SteeringException or NetlinkException)
        {
            if (_status.LastError != e.Message)
            {
                _log.LogError("Steering failed, will try again {Reason}", e.Message);
            }

            _status = _status with { LastError = e.Message };
            return false;
        }
    }

    private void Step()
    {
        bool verify = _verify && _pace.MayRepair(Environment.TickCount64);
        _verify &= !verify; // while others undo what we do, it has to wait
        if (verify || _readNetwork)
        {
            _readNetwork = false;
            NodeNetwork before = Network;
            _network = NodeNetwork.Read(withRoutes: _options.DetectsByInterface);
            verify |= !_network.HasSame(_options.Tun.Name, before);
        }

        TellControlPlane();
        SteeringInputs inputs = Inputs();
        if (!IsInMaps())
        {
            if (verify)
            {
                _verify = true; // OnSynced wakes this loop, which then does what it was woken for
            }

            return;
        }

        if (!verify && inputs.Equals(_applied))
        {
            return;
        }

        if (verify)
        {
            _verifiedMs = Environment.TickCount64;
        }

        IReadOnlyList<string> changes = _steering.Apply(inputs);
        if (changes.Count > 0)
        {
            _metrics.CountSteeringChanges(changes.Count);
            TellChanges(changes, inputs);
        }
        else if (_pace.NoteQuiet(Environment.TickCount64))
        {
            _contested = "";
            _log.LogInformation("Steering is no longer contested");
        }

        _applied = inputs;
        _status = new SteeringStatus
        {
            Installed = true,
            Device = inputs.Device,
            Mtu = inputs.Mtu,
            Ipv4Address = inputs.Ipv4?.Source?.ToString() ?? "",
            Ipv6Address = inputs.Ipv6?.Source?.ToString() ?? "",
            Destinations = ServiceRanges(inputs),
            NodePorts = inputs.Families.SelectMany(family => family.NodePorts).Distinct().Count(),
            ExternalFrontends = inputs.Families.Sum(family => family.Frontends.Count),
            Bridges = [.. _bridges.Select(bridge => new BridgeStatus(bridge.Name, bridge.Subnet.ToString(), bridge.Fix))],
            DestinationsOrigin = _clusterNetwork.RangeOrigin switch
            {
                ServiceRangeOrigin.Cluster => "ServiceCIDR objects",
                ServiceRangeOrigin.Configured => "configuration",
                _ => "",
            },
            DestinationsGuessed = _clusterNetwork.RangeOrigin == ServiceRangeOrigin.Guessed,
            LastChange = changes.Count > 0 ? DateTimeOffset.UtcNow : _status.LastChange,
        };
        _installed.TrySetResult();
    }

    private void TellChanges(IReadOnlyList<string> changes, SteeringInputs inputs)
    {
        if (_applied is null)
        {
            _log.LogInformation("Steering installed {Changes} {ServiceRanges}", changes.Count, ServiceRanges(inputs));
        }
        else if (inputs.Equals(_applied))
        {
            NoteRepair(changes);
        }
        else
        {
            _log.LogInformation("Steering changed {Changes} {ServiceRanges}", changes.Count, ServiceRanges(inputs));
        }
    }

    private bool IsInMaps()
    {
        lock (_versionLock)
        {
            _awaitsMaps = _versionInMaps != _version;
            return !_awaitsMaps;
        }
    }

    private void TellControlPlane()
    {
        _node = _store.Node;
        _serviceCidrs = _store.ServiceCidrs;
        NetworkInputs inputs = _clusterNetwork.Inputs(Network.NodeAddresses(_options.Tun.Name), Network.Behind(_options.IsLocalInterface));
        FindBridges(inputs);
        inputs = inputs with { BridgedRanges = [.. _bridges.Where(bridge => bridge.Fix == BridgeFix.Masquerade).Select(bridge => bridge.Subnet)] };
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

    private void FindBridges(NetworkInputs inputs)
    {
        _bridgeNetfilter = PodBridge.Netfilter();
        ImmutableArray<PodBridge> found = PodBridge.Find(
            Network, [.. inputs.PodRanges, .. _node?.PodRanges ?? []], _options.Steering.BridgedPods, () => _canTakeUp ??= NodeSteering.CanTakeUpFromBridges());
        if (!found.SequenceEqual(_bridges))
        {
            _bridges = found;
            _log.LogInformation("Bridges of pods {Bridges}", found.Select(bridge => $"{bridge.Name} {bridge.Subnet}: {bridge.Fix}").ToArray());
        }
    }

    private SteeringInputs Inputs()
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
            LoopbackNodePorts = image.Node.Flags.HasFlag(NodeFlags.LocalhostNodePorts),
            BridgeNft = BridgeRuleset.Render(_bridges, _options.Steering),
            Ipv4 = Family(isIpv6: false, ipv4, _applied?.Ipv4),
            Ipv6 = _kernelHasIpv6 ? Family(isIpv6: true, ipv6, _applied?.Ipv6) : null,
        };

        // A family whose last address went is kept, without a source: what is forwarded goes on.
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

    private NodeNetwork Network => _network ?? throw new InvalidOperationException("ReadNetwork comes first.");

    private static string[] ServiceRanges(SteeringInputs inputs) =>
        [.. inputs.Families.SelectMany(family => family.Destinations).Select(prefix => prefix.ToString())];

    // All else comes from the configuration, which does not change.
    private static bool Same(NetworkInputs a, NetworkInputs b) =>
        a.NodeAddresses.SequenceEqual(b.NodeAddresses) && a.ServiceRanges.SequenceEqual(b.ServiceRanges) && a.PodRanges.SequenceEqual(b.PodRanges)
        && a.BridgedRanges.SequenceEqual(b.BridgedRanges);

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Awake already.
        }
    }
}
