namespace ClusterLb.ControlPlane.Model;

/// <summary>The account of changes that came in, and of those that are not in the maps yet, by family. Thread-safe.</summary>
/// <remarks>
/// A change is queued, then taken by the reconcile loop, then written. One that was taken and whose sync failed still waits: it is
/// written with the next sync that succeeds, and its age counts from when it came.
/// </remarks>
public sealed class PendingChanges(TimeProvider time)
{
    private readonly Lock _lock = new();
    private Batch _queued;
    private Batch _taken;
    private FamilyChanges _ipv4;
    private FamilyChanges _ipv6;
    private readonly long[] _services = new long[(int)ServiceAction.Delete + 1];
    private long _endpoints;
    private long _terminating;

    /// <summary>Changes of services since the start.</summary>
    public long Services => Locked(() => _services.Sum());

    /// <summary>Changes of slices since the start.</summary>
    public long Endpoints => Locked(() => _endpoints);

    /// <summary>Backends that changed slices named as terminating, since the start.</summary>
    public long TerminatingEndpoints => Locked(() => _terminating);

    /// <summary>Changes of services that are not in the maps yet.</summary>
    public int PendingServices => Locked(() => _queued.Services + _taken.Services);

    /// <summary>Changes of slices that are not in the maps yet.</summary>
    public int PendingEndpoints => Locked(() => _queued.Endpoints + _taken.Endpoints);

    /// <summary>The families whose changes the last successful sync wrote.</summary>
    public Families LastWritten { get; private set; }

    /// <summary>The families whose changes were taken and are being written.</summary>
    public Families Writing => Locked(() => FamiliesOf(_taken));

    /// <summary>Changes of one kind of services since the start.</summary>
    public long ServicesBy(ServiceAction action) => Locked(() => _services[(int)action]);

    /// <summary>How far a family is.</summary>
    public FamilyChanges Of(bool isIpv4) => Locked(() => isIpv4
        ? _ipv4 with { PendingSince = _taken.Ipv4Since ?? _queued.Ipv4Since }
        : _ipv6 with { PendingSince = _taken.Ipv6Since ?? _queued.Ipv6Since });

    /// <summary>A service changed.</summary>
    internal void QueueService(Families families, ServiceAction action)
    {
        lock (_lock)
        {
            _services[(int)action]++;
            _queued.Services++;
            Queue(families);
        }
    }

    /// <summary>A slice changed.</summary>
    internal void QueueSlice(Families families, int terminating)
    {
        lock (_lock)
        {
            _endpoints++;
            _terminating += terminating;
            _queued.Endpoints++;
            Queue(families);
        }
    }

    /// <summary>Something that concerns these families changed.</summary>
    internal void Queue(Families families)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_lock)
        {
            if (families.HasFlag(Families.Ipv4))
            {
                _queued.Ipv4Since ??= now;
                _ipv4 = _ipv4 with { LastQueued = now };
            }

            if (families.HasFlag(Families.Ipv6))
            {
                _queued.Ipv6Since ??= now;
                _ipv6 = _ipv6 with { LastQueued = now };
            }
        }
    }

    /// <summary>The reconcile loop has taken what was queued.</summary>
    internal void Take()
    {
        lock (_lock)
        {
            _taken = new Batch
            {
                Ipv4Since = _taken.Ipv4Since ?? _queued.Ipv4Since,
                Ipv6Since = _taken.Ipv6Since ?? _queued.Ipv6Since,
                Services = _taken.Services + _queued.Services,
                Endpoints = _taken.Endpoints + _queued.Endpoints,
            };
            _queued = default;
        }
    }

    /// <summary>All that was taken is in the maps.</summary>
    internal void Written()
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_lock)
        {
            LastWritten = FamiliesOf(_taken);
            _taken = default;
            _ipv4 = _ipv4 with { LastWritten = now };
            _ipv6 = _ipv6 with { LastWritten = now };
        }
    }

    private static Families FamiliesOf(Batch batch) =>
        (batch.Ipv4Since is null ? Families.None : Families.Ipv4) | (batch.Ipv6Since is null ? Families.None : Families.Ipv6);

    private T Locked<T>(Func<T> read)
    {
        lock (_lock)
        {
            return read();
        }
    }

    private struct Batch
    {
        public DateTimeOffset? Ipv4Since;
        public DateTimeOffset? Ipv6Since;
        public int Services;
        public int Endpoints;
    }
}
