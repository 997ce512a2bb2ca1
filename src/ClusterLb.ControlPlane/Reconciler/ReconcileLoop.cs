using System.Collections.Immutable;
using System.Runtime.InteropServices;
using ClusterLb.ControlPlane.Compiler;
using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Carries changes from the store to the maps: when, and what if it fails. The one caller of the compiler and the reconciler.</summary>
public sealed partial class ReconcileLoop : IDisposable
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ListingPause = TimeSpan.FromMilliseconds(10); // each object of the first list wakes the loop

    /// <summary>A resync of 100,000 services takes seconds: it comes later then, so that it never takes more than a quarter of a percent of
    /// a processor, and no more changes than that come while one is under way.</summary>
    private const int ResyncShare = 400;

    private const int MostObserved = 4096; // changes that wait for being written; what comes beyond is written all the same, only not traced

    /// <summary>When a service that could not be written is tried again, if nothing else makes a sync before.</summary>
    private static readonly TimeSpan FailedDelay = TimeSpan.FromSeconds(10);

    private readonly ClusterStateStore _store;
    private readonly MapReconciler _reconciler;
    private readonly ReconcileOptions _options;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _pendingLock = new();
    private DateTimeOffset? _pendingSince;
    private volatile ReconcileStatus _status = new();
    private readonly ServiceTally _tally = new();
    private NodeView _node;
    private bool _isPending; // as _pendingSince, to be read without the lock
    private DateTimeOffset? _writingSince; // of the changes that are being written
    private readonly HashSet<ObjectName> _taken = []; // services that changed and are not written yet
    private readonly HashSet<ObjectName> _failed = []; // services that could not be written, each for a reason of its own
    private readonly Dictionary<ObjectName, List<ObservedChange>> _observed = []; // what made them so
    private readonly SyncTrace? _trace;
    private bool _isSourceComplete;
    private long _networkVersion; // that was written to the maps
    private long _resyncs;
    private long _resyncWrites;
    private bool _resyncDue = true;
    private bool _hadChanges; // the last sync
    private int _resyncRequested;
    private long _lastResync;
    private long _begun; // when the changes that are being written were taken
    private TimeSpan _resyncDuration;

    /// <summary>Adopts what the maps hold; nothing is written before the first sync.</summary>
    public ReconcileLoop(
        ClusterStateStore store, LbMaps maps, ReconcileOptions? options = null, TimeProvider? time = null, SyncTrace? trace = null)
    {
        _trace = trace;
        _store = store;
        _node = new NodeView(store.NodeName);
        _time = time ?? TimeProvider.System;
        _options = options ?? new ReconcileOptions();
        _reconciler = new MapReconciler(maps, _time, _options.Selection);
        _store.Changed += OnChanged;
    }

    /// <summary>Raised before changes are written, and before everything is compared (true), once a complete list is known; on the thread of the loop.</summary>
    public event Action<bool>? Starting;

    /// <summary>Raised after every sync, failed ones too, on the thread of the loop: for readiness, metrics and reclaiming places.</summary>
    public event Action<ReconcileStatus>? Completed;

    /// <summary>Raised for a service port whose hints are used otherwise than before, or not used for another reason (R13); on the thread of the loop.</summary>
    public event Action<ServicePortKey, TopologyDecision>? TopologyDecided
    {
        add => _tally.TopologyDecided += value;
        remove => _tally.TopologyDecided -= value;
    }

    /// <summary>Raised for a service with external IPs, once for as long as they are the same; on the thread of the loop.</summary>
    public event Action<ObjectName, ImmutableArray<IpAddr>>? ExternalIpsSeen
    {
        add => _tally.ExternalIpsSeen += value;
        remove => _tally.ExternalIpsSeen -= value;
    }

    /// <summary>How far the maps are. Any thread.</summary>
    public ReconcileStatus Status
    {
        get
        {
            lock (_pendingLock)
            {
                return _status with { PendingSince = _pendingSince };
            }
        }
    }

    /// <summary>What was done to each map since the start. Any thread.</summary>
    public ICollection<MapOperations> Operations => _reconciler.Operations;

    /// <summary>Runs until cancelled. A sync that fails is repeated in full after a second.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                await WaitForWorkAsync(cancellation);
                bool isDone = TrySync();
                // Before the first complete list nothing but the network is written: that must not delay the first sync. And a
                // change that comes after a sync which had none to write is the first one: it does not wait.
                TimeSpan pause = !_status.IsSynced ? ListingPause : _hadChanges ? _options.MinSyncPeriod : TimeSpan.Zero;
                if (!isDone)
                {
                    pause = RetryDelay;
                    Wake();
                }

                await Task.Delay(pause, _time, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    /// <summary>Compares every service with the maps as soon as <see cref="RunAsync"/> comes to it. Any thread.</summary>
    public void RequestResync()
    {
        Volatile.Write(ref _resyncRequested, 1);
        Wake();
    }

    /// <summary>Writes all that is pending, on this thread. For explain and tests; not beside <see cref="RunAsync"/>.</summary>
    public void SyncNow() => Sync();

    /// <summary>As <see cref="SyncNow"/>, and compares every service with the maps.</summary>
    public void ResyncNow()
    {
        _resyncDue = true;
        Sync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _store.Changed -= OnChanged;
        _wake.Dispose();
    }

    private void OnChanged()
    {
        lock (_pendingLock)
        {
            _pendingSince ??= _time.GetUtcNow();
            Volatile.Write(ref _isPending, true);
        }

        Wake();
    }

    private void Wake()
    {
        if (_wake.CurrentCount > 0)
        {
            return; // awake already; of a thousand changes a second nearly all find it so
        }

        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Awake since.
        }
    }

    /// <summary>Returns when something changed, or when the next full comparison is due.</summary>
    private async Task WaitForWorkAsync(CancellationToken cancellation)
    {
        TimeSpan left = Timeout.InfiniteTimeSpan; // before the first complete list there is nothing to compare with
        bool isRetry = false;
        if (_status.IsSynced)
        {
            long latest = Math.Max(_options.SyncPeriod.Ticks, _options.ConfigSyncPeriod.Ticks);
            TimeSpan period = TimeSpan.FromTicks(Math.Clamp(_resyncDuration.Ticks * ResyncShare, _options.SyncPeriod.Ticks, latest));
            TimeSpan untilResync = period - _time.GetElapsedTime(_lastResync);
            left = untilResync > TimeSpan.Zero ? untilResync : TimeSpan.Zero;
            isRetry = _failed.Count > 0 && left > FailedDelay;
            left = isRetry ? FailedDelay : left;
        }

        using var timer = new CancellationTokenSource(left, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            await _wake.WaitAsync(both.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            _resyncDue |= !isRetry;
        }
    }

    private bool TrySync()
    {
        try
        {
            Sync();
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Whatever it was, the maps are consistent at every write, and a full comparison mends what is missing.
            _resyncDue = true;
            _status = _status with { LastError = e.Message };
            Completed?.Invoke(Status);
            return false;
        }
    }

    private void Sync()
    {
        long start = _begun = _time.GetTimestamp();
        _hadChanges = false;
        _resyncDue |= Interlocked.Exchange(ref _resyncRequested, 0) == 1;
        bool isSynced;
        try
        {
            isSynced = WriteChanges();
        }
        catch
        {
            KeepPending();
            throw;
        }

        _writingSince = null;
        if (isSynced)
        {
            _store.Pending.Written();
        }

        _status = new ReconcileStatus
        {
            IsSynced = isSynced,
            LastSync = _time.GetUtcNow(),
            LastDuration = _time.GetElapsedTime(start),
            NetworkVersion = _networkVersion,
            Services = _reconciler.ServiceCount,
            Backends = _reconciler.BackendCount,
            Writes = _reconciler.Writes,
            Syncs = _status.Syncs + 1,
            Resyncs = _resyncs,
            ResyncWrites = _resyncWrites,
            FullMaps = _reconciler.IncompleteCount > 0 ? [.. _reconciler.FullMaps.Order(StringComparer.Ordinal)] : [],
            IncompleteServices = _reconciler.IncompleteCount + _failed.Count,
            ExternalFrontends = _reconciler.ExternalFrontends,
            HealthChecks = _tally.HealthChecks,
            NoLocalBackends = _tally.NoLocal,
        };
        Completed?.Invoke(Status);
    }

    /// <summary>Writes what changed, or compares everything if that is due.</summary>
    /// <returns>True if the maps hold a complete list.</returns>
    private bool WriteChanges()
    {
        bool isResync = _resyncDue;
        _taken.UnionWith(_failed);
        TakeChanges();
        if (!_isSourceComplete)
        {
            return false; // half a list would take backends away from services that were adopted
        }

        Starting?.Invoke(isResync);
        _resyncDue = true; // in case of an exception: only a full comparison finds what was left undone
        if (isResync)
        {
            Resync();
        }
        else
        {
            WriteTaken();
        }

        _resyncDue = false;
        return true;
    }

    /// <summary>Takes what changed into <see cref="_taken"/>, and writes the network at once.</summary>
    private void TakeChanges()
    {
        DateTimeOffset? pending = TakePending();
        _writingSince ??= pending;
        StateChanges changes = _store.TakeChanges();
        NodeView before = _node;
        _node = before with { Zone = changes.Node?.Zone ?? "" };
        if (changes.Network is { } network && (changes.NetworkChanged || _resyncDue))
        {
            NodeImage image = NodeImage.Compile(network, changes.Node);
            _reconciler.Sync(image);
            _networkVersion = changes.NetworkVersion;
            _node = _node with
            {
                PrimaryIpv4 = image.Node.PrimaryIpv4,
                PrimaryIpv6 = image.Node.PrimaryIpv6,
                AnswersPing = network.AnswersPing,
                ServesExternalIps = network.ServesExternalIps,
            };
        }

        _hadChanges |= changes.NetworkChanged || changes.Services.Count > 0;
        _taken.UnionWith(changes.Services); // some may be left of a sync that failed
        int room = MostObserved - _observed.Values.Sum(kept => kept.Count); // of syncs that failed
        foreach (ObservedChange change in changes.Observed.Take(Math.Max(0, room)))
        {
            ref List<ObservedChange>? observed = ref CollectionsMarshal.GetValueRefOrAddDefault(_observed, change.ServiceName, out _);
            (observed ??= []).Add(change);
        }

        if ((before.PrimaryIpv4, before.PrimaryIpv6) != (_node.PrimaryIpv4, _node.PrimaryIpv6))
        {
            _taken.UnionWith(_store.ServicesWhere(s => !s.SourceRanges.IsEmpty)); // R26: nothing else of a service depends on the node's addresses
        }

        if (before.AnswersPing != _node.AnswersPing)
        {
            _taken.UnionWith(_store.ServicesWhere(s => !s.LoadBalancerIps.IsEmpty));
        }

        if (before.ServesExternalIps != _node.ServesExternalIps)
        {
            _taken.UnionWith(_store.ServicesWhere(s => !s.ExternalIps.IsEmpty));
        }

        _isSourceComplete = changes.IsSourceComplete;
    }

    private DateTimeOffset? TakePending()
    {
        lock (_pendingLock)
        {
            DateTimeOffset? pending = _pendingSince;
            _pendingSince = null;
            Volatile.Write(ref _isPending, false);
            return pending;
        }
    }

    /// <summary>Puts back what was not written; changes that came meanwhile are newer.</summary>
    private void KeepPending()
    {
        lock (_pendingLock)
        {
            _pendingSince = _writingSince ?? _pendingSince;
            _writingSince = null;
        }
    }
}
