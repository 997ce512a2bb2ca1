using System.Collections.Immutable;
using ClusterLb.Agent.Admin;
using ClusterLb.Agent.Metrics;
using ClusterLb.Agent.Network;
using ClusterLb.ControlPlane.Model;
using ClusterLb.ControlPlane.Reconciler;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Steering;

/// <summary>Keeps the kernel steering to what <see cref="SteeredNetwork"/> says: when, and what if it fails.</summary>
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

    private readonly AgentOptions _options;
    private readonly SteeredNetwork _network;
    private readonly NodeSteering _steering;
    private readonly AgentMetrics _metrics;
    private readonly ILogger _log;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly TaskCompletionSource _installed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RepairPace _pace = new(); // of the loop
    private SteeringInputs? _applied;
    private long _verifiedMs;
    private volatile bool _verify = true;
    private volatile bool _lost; // something that traffic needs now
    private volatile bool _nftTouched;
    private volatile bool _readNetwork;
    private volatile string _contested = "";
    private volatile SteeringStatus _status;

    /// <summary>A loop that has done nothing yet; the device is claimed already.</summary>
    public SteeringLoop(AgentOptions options, ClusterStateStore store, NodeSteering steering, AgentMetrics metrics, ILogger log)
    {
        _options = options;
        _network = new SteeredNetwork(options, store, log);
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
    public ImmutableArray<string> Families => _network.Families;

    /// <summary>Asks the kernel for its interfaces and tells the control plane. Once before <see cref="RunAsync"/>, so that the first sync has it.</summary>
    /// <exception cref="NetlinkException">The kernel did not answer.</exception>
    /// <exception cref="SteeringException">Its settings cannot be read.</exception>
    public void ReadNetwork()
    {
        _network.Read();
        _network.TellControlPlane();
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
        if (_network.IsStoreAhead)
        {
            Wake();
        }
    }

    /// <summary>A sync ended. On the reconcile loop's thread.</summary>
    public void OnSynced(ReconcileStatus status)
    {
        bool awaited = _network.OnSynced(status);
        if (awaited || _applied is null || _network.RangeOrigin == ServiceRangeOrigin.Guessed)
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
            verify |= _network.Read();
        }

        _network.TellControlPlane();
        SteeringInputs inputs = _network.Inputs(_applied);
        if (!_network.IsInMaps())
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
            Bridges = [.. _network.Bridges.Select(bridge => new BridgeStatus(bridge.Name, bridge.Subnet.ToString(), bridge.Fix))],
            DestinationsOrigin = _network.RangeOrigin switch
            {
                ServiceRangeOrigin.Cluster => "ServiceCIDR objects",
                ServiceRangeOrigin.Configured => "configuration",
                _ => "",
            },
            DestinationsGuessed = _network.RangeOrigin == ServiceRangeOrigin.Guessed,
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

    private static string[] ServiceRanges(SteeringInputs inputs) =>
        [.. inputs.Families.SelectMany(family => family.Destinations).Select(prefix => prefix.ToString())];

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
