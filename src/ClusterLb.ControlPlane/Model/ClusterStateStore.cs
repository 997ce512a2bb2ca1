using System.Collections.Immutable;
using ClusterLb.Dataplane;

namespace ClusterLb.ControlPlane.Model;

/// <summary>What is known of the cluster. Sources put objects in, <see cref="Reconciler.ReconcileLoop"/> takes out which services changed.</summary>
/// <remarks>Thread-safe. Putting an object that equals the one that is there is no change and wakes nobody.</remarks>
public sealed partial class ClusterStateStore(string nodeName, TimeProvider? time = null)
{
    private const int MostObserved = 4096; // between two syncs; what comes beyond is written all the same, only not traced

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _lock = new();
    private readonly Dictionary<ObjectName, ServiceState> _services = [];
    private readonly Dictionary<ObjectName, ObjectName> _serviceOfSlice = [];
    private readonly Dictionary<(string Origin, string Kind, ObjectName Name), ImmutableArray<ObjectProblem>> _problems = [];
    private readonly Dictionary<ObjectName, HashSet<ObjectName>> _splitters = []; // who gives a share of its connections to a service
    private HashSet<ObjectName> _changed = [];
    private List<ObservedChange> _observed = [];
    private LocalNode? _node;
    private NetworkInputs? _network;
    private long _networkVersion;
    private bool _networkChanged;
    private ImmutableArray<IpPrefix> _serviceCidrs = [];
    private bool _sourceComplete;
    private long _firstReceived;

    /// <summary>Raised after every change, on the thread that made it. Handlers must be quick and must not call back.</summary>
    public event Action? Changed;

    /// <summary>Raised for every service that came or changed, before <see cref="Changed"/> and under the same rules.</summary>
    public event Action<Service>? ServicePut;

    /// <summary>Raised once for every new problem, on the thread that found it.</summary>
    public event Action<ObjectProblem>? ProblemFound;

    /// <summary>The name of this node: decides which backends are local.</summary>
    public string NodeName => nodeName;

    /// <summary>What came in, and what of it is not in the maps yet.</summary>
    public PendingChanges Pending { get; } = new(time ?? TimeProvider.System);

    /// <summary>The source has delivered its first complete list: what is not here does not exist.</summary>
    public bool IsSourceComplete
    {
        get
        {
            lock (_lock)
            {
                return _sourceComplete;
            }
        }
    }

    /// <summary>When the first bytes of the first list were here: <see cref="ChangeTimes.Received"/>; 0 if nobody noted it.</summary>
    internal long FirstReceived
    {
        get
        {
            lock (_lock)
            {
                return _firstReceived;
            }
        }
    }

    /// <summary>This node's object; null while there is none.</summary>
    public LocalNode? Node
    {
        get
        {
            lock (_lock)
            {
                return _node;
            }
        }
    }

    /// <summary>The inputs last given to <see cref="SetNetwork"/>; null before the first.</summary>
    public NetworkInputs? Network
    {
        get
        {
            lock (_lock)
            {
                return _network;
            }
        }
    }

    /// <summary>Where cluster IPs come from, as the cluster itself says; empty if it does not say.</summary>
    public ImmutableArray<IpPrefix> ServiceCidrs
    {
        get
        {
            lock (_lock)
            {
                return _serviceCidrs;
            }
        }
    }

    /// <summary>All present problems, by object.</summary>
    public ImmutableArray<ObjectProblem> Problems
    {
        get
        {
            lock (_lock)
            {
                return [.. _problems.Values.SelectMany(p => p).OrderBy(p => p.ToString(), StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>Adds or replaces a service.</summary>
    public void Put(Service service)
    {
        lock (_lock)
        {
            ref ServiceState? state = ref StateOf(service.Name);
            if (service.Equals(state!.Service))
            {
                return;
            }

            Pending.QueueService(FamiliesOf(state.Service) | FamiliesOf(service), state.Service is null ? ServiceAction.Add : ServiceAction.Update);
            FollowSplit(service.Name, state.Service?.Split, service.Split);
            state = state with { Service = service };
            MarkChanged(service.Name);
            Observe(new ObservedChange(service.Name, service.Name, ObservedChange.Service, "", service.Times));
        }

        ServicePut?.Invoke(service);
        Changed?.Invoke();
    }

    /// <summary>Forgets a service: it was deleted, or is not proxied any more.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="times">When that happened, as far as known.</param>
    public void RemoveService(ObjectName name, ChangeTimes times = default)
    {
        lock (_lock)
        {
            if (!_services.TryGetValue(name, out ServiceState? state) || state.Service is null)
            {
                return;
            }

            Pending.QueueService(FamiliesOf(state.Service), ServiceAction.Delete);
            FollowSplit(name, state.Service.Split, null);
            Keep(state with { Service = null });
            Observe(new ObservedChange(name, name, ObservedChange.Service, "", times) { IsRemoval = true });
        }

        Changed?.Invoke();
    }

    /// <summary>Adds or replaces a slice of backends.</summary>
    public void Put(BackendSlice slice)
    {
        lock (_lock)
        {
            if (_serviceOfSlice.TryGetValue(slice.Name, out ObjectName before) && before != slice.Service)
            {
                Detach(slice.Name, before);
            }

            ref ServiceState? state = ref StateOf(slice.Service);
            ImmutableArray<BackendSlice> slices = state!.Slices;
            int at = IndexOf(slices, slice.Name);
            if (at >= 0 && slices[at].Equals(slice))
            {
                return;
            }

            state = state with { Slices = at >= 0 ? slices.SetItem(at, slice) : slices.Insert(~at, slice) };
            _serviceOfSlice[slice.Name] = slice.Service;
            Pending.QueueSlice(slice.IsIpv4 ? Families.Ipv4 : Families.Ipv6, slice.Backends.Count(backend => backend.IsTerminating));
            MarkChanged(slice.Service);
            Observe(new ObservedChange(slice.Service, slice.Name, ObservedChange.Slice, slice.IsIpv4 ? "IPv4" : "IPv6", slice.Times));
        }

        Changed?.Invoke();
    }

    /// <summary>Forgets a slice.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="times">When that happened, as far as known.</param>
    public void RemoveSlice(ObjectName name, ChangeTimes times = default)
    {
        lock (_lock)
        {
            if (!_serviceOfSlice.Remove(name, out ObjectName service))
            {
                return;
            }

            string family = Detach(name, service).IsIpv4 ? "IPv4" : "IPv6";
            Observe(new ObservedChange(service, name, ObservedChange.Slice, family, times) { IsRemoval = true });
        }

        Changed?.Invoke();
    }

    /// <summary>This node's object. Objects of other nodes are ignored.</summary>
    public void Put(LocalNode node)
    {
        if (!string.Equals(node.Name, NodeName, StringComparison.Ordinal))
        {
            return;
        }

        SetNode(node);
    }

    /// <summary>This node's object is gone. What it said still holds, for the node is still here; but balancers should leave it.</summary>
    public void RemoveNode()
    {
        if (Node is { } node)
        {
            SetNode(node with { IsDraining = true });
        }
    }

    /// <summary>Replaces <see cref="ServiceCidrs"/>. Takes effect when somebody who knows the node's network calls <see cref="SetNetwork"/>.</summary>
    public void SetServiceCidrs(ImmutableArray<IpPrefix> blocks)
    {
        lock (_lock)
        {
            if (_serviceCidrs.AsSpan().SequenceEqual(blocks.AsSpan()))
            {
                return;
            }

            _serviceCidrs = blocks;
        }

        Changed?.Invoke();
    }

    /// <summary>Replaces what is known of the network.</summary>
    /// <returns>The version of these inputs, larger than all before: <see cref="Reconciler.ReconcileStatus.NetworkVersion"/> tells which is in the maps.</returns>
    public long SetNetwork(NetworkInputs network)
    {
        long version;
        lock (_lock)
        {
            _network = network;
            version = ++_networkVersion;
            _networkChanged = true;
            Pending.Queue(Families.Both);
        }

        Changed?.Invoke();
        return version;
    }

    /// <summary>To be called by the source once, after its first complete list. Nothing is written to the maps before.</summary>
    public void SourceComplete()
    {
        lock (_lock)
        {
            _sourceComplete = true;
        }

        Changed?.Invoke();
    }

    /// <summary>Replaces the problems of one object (or file: empty kind, default name). An empty list clears them.</summary>
    public void SetProblems(string origin, string kind, ObjectName name, IReadOnlyList<ObjectProblem> problems)
    {
        IReadOnlyList<ObjectProblem> fresh = problems;
        lock (_lock)
        {
            if (_problems.TryGetValue((origin, kind, name), out ImmutableArray<ObjectProblem> known))
            {
                fresh = [.. problems.Except(known)];
            }

            if (problems.Count == 0)
            {
                _problems.Remove((origin, kind, name));
            }
            else
            {
                _problems[(origin, kind, name)] = [.. problems];
            }
        }

        foreach (ObjectProblem problem in fresh)
        {
            ProblemFound?.Invoke(problem);
        }
    }

    /// <summary>Everything known about one service.</summary>
    public ServiceState Get(ObjectName name)
    {
        lock (_lock)
        {
            ServiceState state = Known(name);
            return state.Service?.Split is { } split ? state with { Canary = Known(split.Canary) } : state;
        }
    }

    /// <summary>The names of all services that exist, in no order.</summary>
    public IReadOnlyList<ObjectName> ServiceNames()
    {
        lock (_lock)
        {
            return [.. _services.Where(s => s.Value.Service is not null).Select(s => s.Key)];
        }
    }

    /// <summary>The names of all services that are so, in no order.</summary>
    internal IReadOnlyList<ObjectName> ServicesWhere(Func<Service, bool> condition)
    {
        lock (_lock)
        {
            return [.. _services.Values.Where(s => s.Service is { } service && condition(service)).Select(s => s.Name)];
        }
    }

    /// <summary>Takes the changes since the last call. For the reconcile loop alone. Services stay until the first list is complete.</summary>
    internal StateChanges TakeChanges()
    {
        lock (_lock)
        {
            var changes = new StateChanges(
                _sourceComplete, _sourceComplete ? _changed : [], _observed, _networkChanged, _node, _network, _networkVersion);
            _changed = _sourceComplete ? [] : _changed;
            _observed = [];
            _networkChanged = false;
            Pending.Take();
            return changes;
        }
    }

    private void SetNode(LocalNode node)
    {
        lock (_lock)
        {
            if (Equals(_node, node))
            {
                return;
            }

            if (!string.Equals(_node?.Zone ?? "", node.Zone, StringComparison.Ordinal))
            {
                // Only hints depend on the zone, and only services with hints can change by it.
                foreach (ServiceState service in _services.Values.Where(HasHints))
                {
                    MarkChanged(service.Name);
                }
            }

            _node = node;
            _networkChanged = true;
            Pending.Queue(Families.Both);
        }

        Changed?.Invoke();
    }
}
