using ClusterLb.ControlPlane.Model;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.ControlPlane.Reconciler;

/// <summary>Remembers the last changes with the time that each stage took (docs/sync.md). Thread-safe.</summary>
/// <param name="awaited">Where the dataplane reads whose first flow is awaited; null: first packets are not traced.</param>
/// <param name="time">Its timestamps are CLOCK_MONOTONIC in nanoseconds, as those of the dataplane.</param>
/// <param name="capacity">Changes remembered.</param>
public sealed class SyncTrace(AwaitedBackends? awaited = null, TimeProvider? time = null, int capacity = 1024)
{
    private const int MostAwaitedOfAChange = 64; // of the backends that it made eligible
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _lock = new();
    private readonly TracedChange[] _ring = new TracedChange[capacity];
    private readonly Dictionary<int, (ServingKey Pair, long Since, Batch Batch)> _awaiting = []; // by place
    private long _count;
    private TimeSpan? _firstList;

    /// <summary>Raised after a change was written, on the reconcile loop's thread. Handlers must be quick.</summary>
    public event Action<TracedChange>? Written;

    /// <summary>Raised when its first packet was seen, on the thread that looked.</summary>
    public event Action<TracedChange>? FirstPacketSeen;

    /// <summary>True if a first packet is awaited: then <see cref="TakeArrivals"/> should be called every now and then.</summary>
    public bool IsAwaiting
    {
        get
        {
            lock (_lock)
            {
                return _awaiting.Count > 0;
            }
        }
    }

    /// <summary>All that is remembered, the oldest first.</summary>
    public IReadOnlyList<TracedChange> Changes
    {
        get
        {
            lock (_lock)
            {
                long first = Math.Max(0, _count - _ring.Length);
                return [.. Enumerable.Range(0, (int)(_count - first)).Select(i => _ring[(first + i) % _ring.Length])];
            }
        }
    }

    /// <summary>From the first byte of the source's first list to its last map entry; null before, and if nobody noted the former.</summary>
    public TimeSpan? FirstList
    {
        get
        {
            lock (_lock)
            {
                return _firstList;
            }
        }
    }

    /// <summary>The first list is written.</summary>
    /// <param name="received">When its first bytes were here; 0 if nobody noted it.</param>
    internal void AddFirstList(long received)
    {
        lock (_lock)
        {
            _firstList ??= received == 0 ? null : _time.GetElapsedTime(received);
        }
    }

    /// <summary>Changes of one service were written, together.</summary>
    /// <param name="changes">Which.</param>
    /// <param name="begun">When the sync that wrote them began.</param>
    /// <param name="writes">Entries written or deleted.</param>
    /// <param name="newlyEligible">The backends that are awaited.</param>
    internal void AddWritten(IReadOnlyList<ObservedChange> changes, long begun, long writes, IReadOnlyList<ServingKey> newlyEligible)
    {
        long written = _time.GetTimestamp();
        TimeSpan paused = GC.GetTotalPauseDuration();
        DateTimeOffset now = _time.GetUtcNow();
        var added = new TracedChange[changes.Count];
        lock (_lock)
        {
            var batch = new Batch(written, _count, changes.Count);
            bool isAwaited = awaited is not null && newlyEligible.Count > 0;
            for (int i = 0; i < added.Length; i++)
            {
                added[i] = Trace(changes[i], written, now) with
                {
                    WaitMs = Milliseconds(changes[i].Queued, begun),
                    GcMs = (paused - changes[i].Paused).TotalMilliseconds,
                    Number = _count + 1,
                    Writes = writes,
                    FirstPacket = isAwaited ? FirstPacket.Awaited : FirstPacket.None,
                };
                _ring[_count % _ring.Length] = added[i];
                _count++;
            }

            if (isAwaited)
            {
                Await(batch, newlyEligible);
            }
        }

        foreach (TracedChange change in added)
        {
            Written?.Invoke(change);
        }
    }

    /// <summary>Looks whether what is awaited has come, and gives up what did not for a minute.</summary>
    /// <param name="arrivals">From <see cref="BackendArrivals.TryRead"/>.</param>
    public void TakeArrivals(ReadOnlySpan<BackendArrival> arrivals)
    {
        List<TracedChange> seen = [];
        lock (_lock)
        {
            long now = _time.GetTimestamp();
            foreach ((int place, (ServingKey pair, long since, Batch batch)) in _awaiting.ToArray())
            {
                // The first of a batch's backends decides; the others are looked at in the same round, for one may be earlier.
                if (arrivals[place].Since(pair, since) is { } arrival)
                {
                    batch.FirstPacket = Math.Min(batch.FirstPacket, arrival);
                }
                else if (_time.GetElapsedTime(since, now) >= Patience)
                {
                    Release(place);
                    GiveUpIfNothingIsLeft(batch);
                }
            }

            foreach (Batch batch in _awaiting.Values.Select(a => a.Batch).Where(b => b.FirstPacket != long.MaxValue).Distinct().ToArray())
            {
                Finish(batch, seen);
            }
        }

        foreach (TracedChange change in seen)
        {
            FirstPacketSeen?.Invoke(change);
        }
    }

    /// <summary>Both ends and all stages are taken from one clock, but for the API's time, which is the control plane's.</summary>
    private TracedChange Trace(ObservedChange change, long written, DateTimeOffset now)
    {
        DateTimeOffset received = now - _time.GetElapsedTime(change.Times.Received, written);
        double? api = change.Times.Triggered is { } triggered ? (received - triggered).TotalMilliseconds : null;
        double here = Milliseconds(change.Times.Received, written);
        return new TracedChange
        {
            Number = 0,
            Service = change.ServiceName.ToString(),
            Kind = change.Kind,
            Object = change.Object.ToString(),
            Family = change.Family,
            IsRemoval = change.IsRemoval,
            Triggered = change.Times.Triggered,
            Received = received,
            ApiMs = api is { } ms ? Math.Max(0, ms) : null,
            ClockSkewMs = Math.Max(0, -(api ?? 0)),
            ReadMs = Milliseconds(change.Times.Received, change.Queued),
            WriteMs = Milliseconds(change.Queued, written),
            TotalMs = Math.Max(0, api ?? 0) + here,
        };
    }

    private void Await(Batch batch, IReadOnlyList<ServingKey> pairs)
    {
        foreach (ServingKey pair in pairs.Take(MostAwaitedOfAChange))
        {
            int place = AwaitedBackends.PlaceOf(pair);
            if (_awaiting.Remove(place, out (ServingKey Pair, long Since, Batch Batch) before))
            {
                before.Batch.Places--;
                if (before.Batch != batch)
                {
                    GiveUpIfNothingIsLeft(before.Batch);
                }
            }

            awaited!.Await(pair, batch.Written);
            _awaiting.Add(place, (pair, batch.Written, batch));
            batch.Places++;
        }
    }

    private void Finish(Batch batch, List<TracedChange> seen)
    {
        foreach (int place in _awaiting.Where(a => a.Value.Batch == batch).Select(a => a.Key).ToArray())
        {
            Release(place);
        }

        double packet = Milliseconds(batch.Written, batch.FirstPacket);
        Change(batch, change => change with { FirstPacket = FirstPacket.Seen, PacketMs = packet, TotalMs = change.TotalMs + packet }, seen);
    }

    private void Release(int place)
    {
        if (_awaiting.Remove(place, out (ServingKey Pair, long Since, Batch Batch) before))
        {
            before.Batch.Places--;
            awaited!.Forget(place);
        }
    }

    private void GiveUpIfNothingIsLeft(Batch batch)
    {
        if (batch.Places == 0)
        {
            Change(batch, change => change with { FirstPacket = FirstPacket.GivenUp }, []);
        }
    }

    /// <summary>Changes the entries of a batch that are still remembered.</summary>
    private void Change(Batch batch, Func<TracedChange, TracedChange> how, List<TracedChange> changed)
    {
        for (long i = Math.Max(batch.First, _count - _ring.Length); i < batch.First + batch.Length; i++)
        {
            ref TracedChange change = ref _ring[i % _ring.Length];
            change = how(change);
            changed.Add(change);
        }
    }

    private double Milliseconds(long from, long to) => Math.Max(0, _time.GetElapsedTime(from, to).TotalMilliseconds);

    /// <summary>Changes that were written together, and wait for the same packet.</summary>
    private sealed class Batch(long written, long first, int length)
    {
        public long Written { get; } = written;

        public long First { get; } = first;

        public int Length { get; } = length;

        public int Places { get; set; }

        public long FirstPacket { get; set; } = long.MaxValue;
    }
}
